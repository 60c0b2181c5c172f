"""From photos or a video to posed images that nerfstudio-data reads: features, matches and poses by COLMAP's wheel, pycolmap."""
