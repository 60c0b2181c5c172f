"""Who trains the runs: processes here, or Ray's. A run is a process of ns-train that dies with whoever started it."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from nerf_plugins.errors import InputError


class Job(NamedTuple):
    """What to start."""

    key: str
    method: str
    config: Path
    """YAML file for ns-train --load-config."""
    log: Path
    threads: int | None
    """OMP_NUM_THREADS; None leaves it as it is."""


class Workers(Protocol):
    """Takes jobs and says which ended."""

    def submit(self, job: Job) -> None:
        """Starts a job as soon as there is room."""
        ...

    def ended(self) -> dict[str, int]:
        """Exit codes of the jobs that ended since the last call."""
        ...

    def close(self) -> None:
        """Ends what still runs."""
        ...


class LocalWorkers:
    """Up to ``jobs`` processes on this machine."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._queue: list[Job] = []
        self._running: dict[str, subprocess.Popen] = {}

    def submit(self, job: Job) -> None:
        """Starts a job as soon as there is room."""
        self._queue.append(job)
        self._fill()

    def _fill(self) -> None:
        while self._queue and len(self._running) < self.jobs:
            job = self._queue.pop(0)
            self._running[job.key] = start(job)

    def ended(self) -> dict[str, int]:
        """Exit codes of the jobs that ended since the last call."""
        codes = {key: process.poll() for key, process in self._running.items()}
        done = {key: code for key, code in codes.items() if code is not None}
        for key in done:
            del self._running[key]
        self._fill()
        return done

    def close(self) -> None:
        """Ends what still runs."""
        self._queue.clear()
        for process in self._running.values():
            end(process)
        self._running.clear()


class RayWorkers:
    """Ray's tasks; a task holds its resources and waits for its process."""

    def __init__(self, address: str | None, cpus: float, gpus: float) -> None:
        try:
            import ray  # pyright: ignore[reportMissingImports]
            from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]
        except ImportError as e:
            raise InputError(
                "workers ray: Ray is not installed: pip install -e '.[sweep-ray]' in the package's folder"
            ) from e
        self._ray, self._error = ray, RayError
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False if address is None else None)
        except ConnectionError as e:
            raise InputError(
                f"--ray-address {address}: there is no Ray cluster: start one with 'ray start --head'"
            ) from e
        there = ray.cluster_resources()
        for name, wanted in (("CPU", cpus), ("GPU", gpus)):
            if wanted > max((node["Resources"].get(name, 0.0) for node in ray.nodes()), default=0.0):
                ray.shutdown()
                raise InputError(
                    f"a run takes {wanted:g} {name}, but no machine of the Ray cluster has that; in all it has {there}"
                )
        self._train = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(train)
        self._running: dict[object, str] = {}

    def submit(self, job: Job) -> None:
        """Queues a job in the cluster."""
        self._running[self._train.remote(job)] = job.key

    def ended(self) -> dict[str, int]:
        """Exit codes of the jobs that ended since the last call; 1 where the task itself broke, as when its machine went away."""
        done, _ = (
            self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
            if self._running
            else ([], [])
        )
        codes = {}
        for task in done:
            try:
                code = self._ray.get(task)
            except self._error:
                code = 1
            codes[self._running.pop(task)] = code
        return codes

    def close(self) -> None:
        """Leaves the cluster, which ends this sweep's tasks and, as their parents die, their processes."""
        self._ray.shutdown()


def train(job: Job) -> int:
    """Starts a job and waits for it; returns its exit code."""
    process = start(job)
    try:
        while process.poll() is None:
            time.sleep(0.2)  # a wait that can be interrupted
        return process.returncode
    finally:
        end(process)


def find_ns_train() -> str:
    """This Python's ns-train, or else the one on the PATH.

    Raises:
        InputError: there is none.
    """
    beside = Path(sys.executable).parent / "ns-train"
    found = str(beside) if beside.is_file() else shutil.which("ns-train")
    if found is None:
        raise InputError(f"ns-train is neither in {beside.parent} nor on the PATH: activate nerfstudio's environment")
    return found


def start(job: Job) -> subprocess.Popen:
    """Starts ns-train, with its output in the job's log.

    Raises:
        InputError: it is not installed.
    """
    command = [find_ns_train(), job.method, "--load-config", str(job.config)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    if job.threads is not None:
        environment["OMP_NUM_THREADS"] = str(job.threads)
    with job.log.open("wb", buffering=0) as log:
        log.write(f"{time.time():.3f}: {' '.join(command)}\n".encode())
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )


def end(process: subprocess.Popen) -> None:
    """Ends a process and those that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # checkpoints are written whole or not at all
        process.wait()


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel kills the process when its parent dies, even by SIGKILL; elsewhere nothing does."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # found before the fork
    parent = os.getpid()

    def ask() -> None:
        pr_set_pdeathsig = 1
        prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:  # died in between
            os._exit(1)

    return ask
