"""What is installed, reachable and configured, and what to do about what is not.

Nothing here changes anything: no setting, no database, no frame.
"""
