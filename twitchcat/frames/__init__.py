"""Bytes to pictures: segments, keyframes, image work."""
