"""Training and evaluation of reasoning segmentation; nothing in `segzero/` imports this package."""
