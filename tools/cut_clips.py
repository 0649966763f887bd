"""Cut the demo clips again from the recordings they were taken from.

`python tools/cut_clips.py RECORDINGS` reads `twitchcat/station/clips/clips.json`, which names for each clip
its recording, where it begins and how long it is, and writes the clips: packets copied from one keyframe up
to another, nothing encoded again, no sound. RECORDINGS is the folder that the `source` paths start from.
"""

import hashlib
import json
import sys
from pathlib import Path

import av

CLIPS = Path(__file__).parent.parent / "twitchcat" / "station" / "clips"


def cut(source: Path, target: Path, *, start_s: float, span_s: float) -> None:
    """Copy the groups of pictures that begin within [start_s, start_s + span_s) of the video stream."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two edits of the same bytes give the same file: no encoder string, no time of day.
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(source)) as recording, av.open(str(target), "w", options=options) as clip:
        video = recording.streams.video[0]
        copy = clip.add_stream_from_template(video)
        begin_s: float | None = None
        for packet in recording.demux(video):
            if packet.pts is None or packet.dts is None or packet.time_base is None:
                continue
            if packet.is_keyframe:
                at_s = float(packet.pts * packet.time_base)
                if begin_s is None and at_s >= start_s:
                    begin_s, shift = at_s, packet.pts
                elif begin_s is not None and at_s >= begin_s + span_s - 0.001:
                    break
            if begin_s is not None:
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = copy
                clip.mux(packet)


def main(recordings: Path) -> None:
    """Cut every clip that clips.json lists; refuse a recording with another checksum."""
    for entry in json.loads((CLIPS / "clips.json").read_text(encoding="utf-8")):
        source = recordings / entry["source"]
        if hashlib.sha256(source.read_bytes()).hexdigest() != entry["source_sha256"]:
            raise SystemExit(f"{source} is not the recording that {entry['file']} was cut from")
        cut(source, CLIPS / entry["file"], start_s=entry["start_s"], span_s=entry["span_s"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
