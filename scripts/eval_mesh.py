"""Another name of `nerf-plugins eval-mesh`, with its options: "--truth", "--demo-views", "--json" and the others."""

import sys

from nerf_plugins.cli import main

if __name__ == "__main__":
    main(["eval-mesh", *sys.argv[1:]])
