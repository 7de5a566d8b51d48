"""The page itself: files that `outputs.viewer.assets` hands out."""
