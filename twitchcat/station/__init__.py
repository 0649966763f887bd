"""A Twitch on loopback that plays a folder of videos as live channels: for demos, tests and dry runs.

It speaks what the Twitch plugin of streamlink and a Helix client ask for, so both run against it unchanged.
"""
