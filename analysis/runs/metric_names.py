"""Directions of retrieval and metrics, as result.json names them."""

DIRECTIONS = ("text_to_video", "video_to_text")
METRICS = ("R@1", "R@5", "R@10", "MdR", "MnR")
