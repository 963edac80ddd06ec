"""A program that behaves as its first argument says; for the tests of processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:  # noqa: C901, PLR0912, PLR0915 - a case each
    mode, *rest = sys.argv[1:]
    out = sys.stdout.buffer
    match mode:
        case "lines":
            out.write(b"one\ntwo\nthree")
        case "environment":
            out.write("".join(f"{name}={value}\n" for name, value in os.environ.items()).encode())
        case "exit":
            sys.stderr.write("it is broken\n")
            sys.exit(int(rest[0]))
        case "kill":
            out.write(b"half")
            out.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        case "long":
            out.write(b"x" * int(rest[0]) + b"\n")
        case "noise":
            for number in range(3):
                for _ in range(int(rest[0])):
                    os.write(2, b"y" * 99 + b"\n")
                os.write(1, f"line {number}\n".encode())
        case "hang":
            # A child that ignores to be told, and one that has left the group and the session.
            stubborn = "import os,signal,sys,time; signal.signal(15, signal.SIG_IGN); sys.stdin.read(); time.sleep(600)"
            one = subprocess.Popen([sys.executable, "-c", stubborn])
            two = subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)
            Path(rest[0]).write_text(f"{os.getpid()} {one.pid} {two.pid}")
            out.write(b"started\n")
            out.flush()
            time.sleep(600)
        case "leave":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path(rest[0]).write_text(str(child.pid))
            out.write(b"done\n")
        case "cat":
            sys.stdout.writelines(line for line in sys.stdin)
        case "talk first":  # more than any pipe holds, on both outputs, before it reads anything
            for _ in range(40):
                os.write(1, b"x" * 99_999 + b"\n")
                os.write(2, b"y" * 99_999 + b"\n")
            out.write(f"{len(sys.stdin.buffer.read())}\n".encode())
        case "read":  # so many bytes, and no more
            os.read(0, int(rest[0]))
        case "mute":  # it has nothing to say, and reads to the end
            os.close(1)
            while os.read(0, 1_000_000):
                time.sleep(0.01)
            os._exit(0)
        case "deaf":
            time.sleep(600)
        case "private":
            import json
            import stat

            config = Path(rest[0])
            modes = [stat.S_IMODE(path.stat().st_mode) for path in (config, config.parent)]
            here = str(Path.cwd()) == str(config.parent) == os.environ["HOME"]
            print(json.dumps([modes, here, json.loads(config.read_text()), sys.argv]))


if __name__ == "__main__":
    main()
