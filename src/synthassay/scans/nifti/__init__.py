"""NIfTI-1, NIfTI-2 and Analyze: files to volumes, masks onto their scans, and what the folders of two layouts say."""
