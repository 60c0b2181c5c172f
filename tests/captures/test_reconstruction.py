"""How many threads look for features; the reconstructing process is run in test_processing.py."""

from nerf_plugins.captures import reconstruction
from nerf_plugins.captures.job import CameraGroup, Job


def test_memory_bounds_the_threads(tmp_path, monkeypatch):
    group = CameraGroup(("a.jpg",), 4032, 3024, 3000.0, True)
    job = Job(tmp_path, tmp_path, None, (group,), "exhaustive", "incremental", 20, 1600, 4096)
    monkeypatch.setattr(reconstruction.os, "sched_getaffinity", lambda _: range(64), raising=False)
    one = reconstruction.MEMORY_PER_PIXEL * 1600 * 1200
    monkeypatch.setattr(reconstruction, "_free_memory", lambda: 20.5 * one)
    assert reconstruction._threads(job) == 10
    monkeypatch.setattr(reconstruction, "_free_memory", lambda: 0.1 * one)
    assert reconstruction._threads(job) == 1
