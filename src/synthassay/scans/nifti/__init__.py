"""NIfTI-1 and NIfTI-2: files to volumes, masks onto their scans, and what the folders of two layouts say."""
