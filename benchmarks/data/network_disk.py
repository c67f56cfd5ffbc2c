"""An epoch of reading from a disk behind a network: `python benchmarks/data/network_disk.py`.

The disk is a real one over a slow line: sshfs (FUSE) mounts a folder of this machine through SFTP, whose bytes wait
half of the round trip each way and pass at 1 Gbit/s. It takes FUSE, and Debian's packages sshfs and
openssh-sftp-server. Two workers read 16 frames of each of 200 videos (320x240, ten seconds) at 224, nothing is trained;
every mount is new, so nothing is in a cache. Ways that give the same batches are checked to do so, byte by byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import report
from benchmarks.data.clips import clips
from simvtp.config.presets import preset
from simvtp.config.schema import Config, override
from simvtp.data.from_config import build_train_loader, pretraining_corpus, tokenizer_of
from simvtp.data.pack import pack

CLIPS, SHARDS = 200, 20
RATE = 125e6  # bytes a second, each way
SERVER = "/usr/lib/openssh/sftp-server"


def relay(delay: float) -> None:
    """Stand between stdin, stdout and an SFTP server; every byte arrives `delay` seconds late."""
    with subprocess.Popen([SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        ways = ((sys.stdin.fileno(), server.stdin.fileno()), (server.stdout.fileno(), sys.stdout.fileno()))
        threads = [thread for source, sink in ways for thread in _line(source, sink, delay)]
        threads[-1].join()  # the server's last word
        server.kill()


def _line(source: int, sink: int, delay: float) -> Iterator[threading.Thread]:
    waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()

    def read() -> None:
        free = 0.0  # when the line has passed what came before
        while True:
            data = os.read(source, 1 << 16)
            free = max(free, time.monotonic()) + len(data) / RATE
            waiting.put((free + delay, data))
            if not data:
                return

    def write() -> None:
        while True:
            due, data = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                os.close(sink)
                return
            while data:
                data = data[os.write(sink, data) :]

    for work in (read, write):
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield thread


@contextmanager
def mounted(folder: Path, mount: Path, milliseconds: float) -> Iterator[Path]:
    """`folder` mounted at `mount` with a round trip of so many milliseconds; 0: the folder itself, without network."""
    if not milliseconds:
        yield folder
        return
    mount.mkdir(exist_ok=True)
    command = f"{sys.executable} {Path(__file__).resolve()} --relay {milliseconds / 2000}"
    subprocess.run(["sshfs", f"disk:{folder}", str(mount), "-o", f"ssh_command={command}"], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(mount)], check=True)


def disk(folder: Path) -> Path:
    """The corpus as files and as shards."""
    listed = clips(folder, CLIPS, copies=True)
    pack(f"csv:{listed}", folder / "shards", CLIPS * (folder / "video.mp4").stat().st_size / SHARDS / 2**20)
    shutil.copy(folder / "vocab.txt", folder / "shards")
    return folder


def read(config: Config) -> tuple[float, str]:
    """(seconds, digest of all batches) of one epoch."""
    began, seen = time.perf_counter(), hashlib.sha256()
    loader = build_train_loader(config, "pretrain", pretraining_corpus(config), tokenizer_of(config))
    batches = loader.batches(0)
    for _ in range(loader.steps_per_epoch):
        batch = next(batches)
        seen.update(batch.video.numpy().tobytes())
    return time.perf_counter() - began, seen.hexdigest()


def measure(folder: Path, copies: Path, mount: Path, milliseconds: float) -> dict[str, str]:
    """Seconds of an epoch by each way."""
    base = override(preset("base"), {"data.tokenizer": "corpus", "pretrain.batch": 4, "machine.workers": 2})
    ways = {
        "folder": {"data.pretrain": "csv:{}/clips.csv"},
        "shards, shuffled": {"data.pretrain": "shards:{}/shards"},
        "shards, eight at a time": {"data.pretrain": "shards:{}/shards", "data.order": "shards"},
        "and streamed": {"data.pretrain": "shards:{}/shards", "data.order": "shards", "machine.stream": str(copies)},
    }
    row, digests = {"round trip, ms": f"{milliseconds:g}"}, []
    for name, settings in ways.items():
        with mounted(folder, mount, milliseconds) as root:
            seconds, digest = read(override(base, {key: value.format(root) for key, value in settings.items()}))
        row[f"{name}, s"] = f"{seconds:.1f}"
        digests.append(digest)
    assert digests[0] == digests[1], "batches from shards are not those of the folder"
    assert digests[2] == digests[3], "batches of streamed shards are not those of shards at their place"
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--round-trips", type=float, nargs="+", default=[0, 1, 10, 50], metavar="MS")
    parser.add_argument("--relay", type=float, help=argparse.SUPPRESS)
    arguments, others = parser.parse_known_args()
    if others and arguments.relay is None:  # sshfs calls the relay as ssh, with words of its own
        parser.error(f"unknown: {' '.join(others)}")
    if arguments.relay is not None:
        relay(arguments.relay)
        return
    if shutil.which("sshfs") is None or not Path(SERVER).exists():
        sys.exit("it takes sshfs and an SFTP server: apt-get install sshfs openssh-sftp-server")
    report.print_environment()
    with tempfile.TemporaryDirectory() as parent:
        folder, copies = Path(parent, "disk"), Path(parent, "copies")
        folder.mkdir()
        disk(folder)
        rows = [measure(folder, copies, Path(parent, "mount"), delay) for delay in arguments.round_trips]
    print(report.markdown(rows))


if __name__ == "__main__":
    main()
