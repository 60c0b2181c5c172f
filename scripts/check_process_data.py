"""Checks `nerf-plugins process-data` where its result is known: poses of a made orbit or video against the truth, and going on after kills.

Takes minutes: not part of the tests, which do the same in small.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import tyro
from PIL import Image

from nerf_plugins.files.ffmpeg import bundled_ffmpeg
from nerf_plugins.geometry.poses import aligned_error
from nerf_plugins.scenes import Camera, demo_scene
from nerf_plugins.scenes.cameras import look_at
from nerf_plugins.scenes.rendering import render

GREY = 0.85
"""Of the background."""


@dataclass(frozen=True)
class Orbit:
    """Photos, or a video, of an orbit around the demo scene: how far are the poses off?

    The video has blurred frames, a rotation in its metadata and a frame rate that changes; none of the blurred frames may be chosen.
    """

    folder: Path
    """A new folder; pictures that are there already are not made again."""
    n_frames: int = 36
    """Pictures of the whole orbit; 90 or more for a video."""
    width: int = 480
    """Pixels; the height is a third more."""
    n_rays: int = 2
    """Rays of a pixel each way."""
    video: bool = False
    """Make a video of them."""
    frames: int = 200
    """To take from the video, at most."""

    def run(self) -> None:
        """Prints the figures."""
        pictures, poses = self.make_pictures()
        blurred: set[int] = set()
        source = self.folder / "pictures"
        if self.video:
            blurred = {i for i in range(self.n_frames) if i % 7 in (2, 3)}
            source = write_video(self.folder, pictures, blurred)
        process(source, self.folder / "dataset", "--frames", str(self.frames))
        found = read_poses(self.folder / "dataset")
        used = [int(name.split("_")[-1]) for name in found]
        true = poses[used]
        answer = {
            "registered": len(found),
            "blurred frames chosen": len(blurred & set(used)),
            "largest error of a position, % of the orbit": round(
                100 * aligned_error(np.stack([*found.values()]), true), 3
            ),
            **read_lens(self.folder / "dataset", self.width),
        }
        print(json.dumps(answer, indent=1))

    def make_pictures(self) -> tuple[list[Path], np.ndarray]:
        """Their files, and poses (n, 3, 4) in nerfstudio's axes."""
        folder = self.folder / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        angles = 2 * np.pi * np.arange(self.n_frames) / self.n_frames
        places = np.stack([2.6 * np.cos(angles), 2.6 * np.sin(angles), 1.3 + 0.25 * np.sin(2 * angles)], axis=1)
        poses = np.stack([look_at(place, np.array([0.0, 0.0, -0.1])) for place in places])
        files = [folder / f"{i:06d}.png" for i in range(self.n_frames)]
        for file, pose in zip(files, poses):
            if not file.exists():
                camera = Camera.centred(pose, 1.25 * self.width, self.width, self.width * 4 // 3)
                rgba = render(demo_scene(), camera, self.n_rays)
                rgb = rgba[..., :3] * rgba[..., 3:] + GREY * (1 - rgba[..., 3:])
                Image.fromarray((255 * rgb).round().astype(np.uint8)).save(file)
        return files, poses[:, :3]


@dataclass(frozen=True)
class Kills:
    """SIGKILL at random moments; each time the command must go on to the photos that it places when it is left alone."""

    photos: Path
    """A folder of photos."""
    folder: Path
    """A new folder."""
    n_kills: int = 10
    """Datasets that are made, each with one kill."""
    seed: int = 0
    """Of the moments."""

    def run(self) -> None:
        """Prints a line for each kill."""
        self.folder.mkdir(parents=True)
        start = time.monotonic()
        process(self.photos, self.folder / "whole")
        seconds = time.monotonic() - start
        expected = set(read_poses(self.folder / "whole"))
        print(f"left alone: {len(expected)} photos in {seconds:.0f} s")
        moments, wrong = random.Random(self.seed), 0
        for i in range(self.n_kills):
            target, after = self.folder / f"killed_{i}", moments.uniform(0.1, 1.0) * seconds
            stage = kill(self.photos, target, after)
            process(self.photos, target)
            found = set(read_poses(target))
            wrong += found != expected
            print(
                f"killed after {after:.0f} s ({stage}): {len(found)} photos, {'the same' if found == expected else 'OTHERS'}"
            )
            shutil.rmtree(target)
        sys.exit(1 if wrong else 0)


def command(source: Path, target: Path, *options: str) -> list[str]:
    """The command line."""
    return [
        sys.executable,
        "-m",
        "nerf_plugins.cli",
        "process-data",
        str(source),
        "--output-dir",
        str(target),
        *options,
    ]


def process(source: Path, target: Path, *options: str) -> None:
    """Makes a dataset."""
    subprocess.run(command(source, target, *options), check=True, capture_output=True)


def kill(source: Path, target: Path, after: float) -> str:
    """Kills the command after some seconds; says what was there then."""
    with subprocess.Popen(command(source, target), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            child.wait(after)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
    marks = ("transforms.json", "sparse_pc.ply", "colmap/sparse", "colmap/pairs.txt", "colmap/database.db", "images")
    return next((mark for mark in marks if (target / mark).exists()), "nothing yet")


def write_video(folder: Path, pictures: list[Path], blurred: set[int]) -> Path:
    """H.264 with blurred frames, at 30 and then at 10 frames a second, lying and turned upright by its metadata."""
    plain, turned = folder / "plain.mp4", folder / "video.mp4"
    with av.open(str(plain), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "16"})
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 30)
        moment = 0
        for i, file in enumerate(pictures):
            pixels = np.rot90(np.asarray(Image.open(file)), -1)
            pixels = np.ascontiguousarray(cv2.blur(pixels, (13, 1)) if i in blurred else pixels, dtype=np.uint8)
            if i == 0:
                stream.height, stream.width = pixels.shape[:2]
            frame: Any = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = moment, Fraction(1, 30)
            moment += 1 if i < len(pictures) // 2 else 3
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    options = ["-y", "-loglevel", "error", "-display_rotation", "90", "-i", str(plain), "-c", "copy", str(turned)]
    subprocess.run([str(bundled_ffmpeg()), *options], check=True)
    return turned


def read_poses(dataset: Path) -> dict[str, np.ndarray]:
    """By the image's name without its ending."""
    frames = json.loads((dataset / "transforms.json").read_text(encoding="utf-8"))["frames"]
    return {Path(f["file_path"]).stem: np.array(f["transform_matrix"])[:3] for f in frames}


def read_lens(dataset: Path, width: int) -> dict[str, Any]:
    """What was found of the lens, beside the truth, and how well points fit."""
    report = json.loads((dataset / "capture.json").read_text(encoding="utf-8"))
    (camera, *_) = report["cameras"].values()
    points = [image["points"] for image in report["images"].values()]
    return {
        "focal length, of the true one": round(camera["fx"] / (1.25 * width), 4),
        "k1": round(camera["k1"], 4),
        "points of a picture, median": int(np.median(points)),
        "reprojection error, pixels": report["reprojection_error_pixels"],
    }


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"orbit": Orbit, "kills": Kills}).run()
