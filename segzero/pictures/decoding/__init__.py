"""What stands between Pillow's decoders and load_picture: bounds, and what single formats need mended.

Only segzero.pictures.picture imports from here, module by module.
"""
