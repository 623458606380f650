#!/usr/bin/env python3
"""Tests `check` with a peer: it passes all claims, and each of its mistakes fails the claims that its help names.

    peers_test.py CHECK PEER         tests each mistake against these claims and every tenth of the others
    peers_test.py --all CHECK PEER   tests each mistake against all claims, which takes several minutes

CHECK is the program, and PEER a file such as server.py. Exits with 0 on success, with 1 on failure, and with 77 if the
peer's language is missing.
"""
import concurrent.futures, json, pathlib, re, shlex, subprocess, sys, tempfile

LANGUAGES = {   # by the peer's suffix: how to ask for the version, the oldest version, how to start the peer
    ".py": (["python3", "--version"], (3, 11), "exec python3 {peer}"),
    ".mjs": (["node", "--version"], (18, 0), "exec node {peer}"),
    ".go": (["go", "version"], (1, 19), "exec {directory}/peer"),
}
TRIES_MAX = 3
BEYOND_NET_HTTP = ["ambiguous-framing", "slow-head"]    # the claims that Go's net/http can't pass


def skip(reason):
    print(f"SKIPPED, NOTHING TESTED: {reason}")
    sys.exit(77)


def command_of(peer, directory):
    """The command that starts a peer, before its port and its flags. Compiles a peer that needs it."""
    words, oldest, command = LANGUAGES[peer.suffix]
    try:
        version = re.search(r"(\d+)\.(\d+)", subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    except FileNotFoundError:
        skip(f"{words[0]} is missing")
    if tuple(map(int, version.groups())) < oldest:
        skip(f"{words[0]} is version {version[0]}, but this test needs {oldest[0]}.{oldest[1]}")
    if peer.suffix == ".go":
        subprocess.run(["go", "build", "-o", f"{directory}/peer", peer], check=True)
    return command.format(peer=shlex.quote(str(peer)), directory=shlex.quote(directory))


def expectations(command):
    """The mistakes in the peer's help, each with the names of the claims that fail."""
    text = subprocess.run(f"{command} --help", shell=True, capture_output=True, text=True).stdout
    return {name: claims.split() for name, claims in re.findall(r"^  ([a-z0-9-]+) .*; fails: (.*)$", text, re.M)}


def main():
    *flags, check, peer = sys.argv[1:]
    peer = pathlib.Path(__file__).parent / peer
    with tempfile.TemporaryDirectory() as directory:
        command = command_of(peer, directory)

        def verdicts(mistake, only):
            """Lets `check` test one claim, or all. Returns the verdict of each, and the output."""
            report = pathlib.Path(directory, f"{mistake} {only}.json")
            run = subprocess.run([check, "10", *(["--only", only] if only else []), "--json", report, "--spawn",
                                  f"{command} {{port}}" + (f" --mistake {mistake}" if mistake else "")],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            lines = report.read_text().splitlines() if report.exists() else []
            return {claim["name"]: claim["verdict"] for claim in map(json.loads, lines)}, run.stdout

        def is_right(mistake, failing, only=""):
            """Prints and returns whether these claims fail, and no others of those that `only` lists, or of all. If they
            are unknown, as on a busy machine, tries again. A mistake may make another claim unknown."""
            for _ in range(TRIES_MAX):
                found, output = verdicts(mistake, only)
                if "UNKNOWN" not in map(found.get, failing if mistake else found):
                    break
            others = {name: verdict for name, verdict in found.items() if verdict != "PASS"}
            expected = {name: "FAIL" if name in failing else "UNKNOWN" for name in (others if mistake else failing)}
            right = found.keys() >= set(failing) and others == expected
            outcome = "ok:" if right else "FAILED:"
            print(outcome, mistake or "no mistake", "fails", *(failing or ["no claim"]), flush=True)
            if not right:
                print(f"instead, these did not pass: {others}\n{output}", flush=True)
            return right

        right = is_right("", BEYOND_NET_HTTP if peer.suffix == ".go" else [])    # alone: some claims measure times
        listed = subprocess.run([check, "--list"], capture_output=True, text=True).stdout.splitlines()
        claims = [line.split()[1] for line in listed]
        with concurrent.futures.ThreadPoolExecutor(2) as two_at_a_time:
            tests = []
            for number, (mistake, failing) in enumerate(expectations(command).items()):
                chosen = [name for i, name in enumerate(claims) if name in failing or (i + number) % 10 == 0]
                only = "" if flags else ",".join(chosen)
                tests.append(two_at_a_time.submit(is_right, mistake, failing, only))
        return 0 if right and all([test.result() for test in tests]) else 1


sys.exit(main())
