"""Runs the Autobahn|Testsuite (RFC 6455, RFC 7692) against a server or a client, plain or over TLS.

    run.py server [options] -- COMMAND...    the suite dials the server that COMMAND starts
    run.py client [options] -- COMMAND...    the client that COMMAND starts dials the suite

In COMMAND, {port}, {url}, {agent}, {cert}, {key} and {ca} stand for what the run chose. With --tls the server is to
serve TLS with {cert} and {key}, and the client gets a wss:// address; SSL_CERT_FILE names the run's own authority.

The suite is installed once from PyPI into ~/.cache/vaiven, nothing system-wide. Everything a run writes, the JSON
index among it, is kept in --out. Each case's outcome is compared with expected.json, and each case must be there.

Exit: 0 all as expected; 1 some case is not; 2 the run itself is no good (install, peer died, error in the suite).
"""

import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
SUITE = '25.10.1'
# autobahn 0.10.9 is what the suite pins. Its own requirements name versions of Python 2 times, hence --no-deps.
BUILD_PINS = ['setuptools==80.9.0', 'wheel==0.45.1']
SUITE_PINS = [f'autobahntestsuite=={SUITE}', 'autobahn==0.10.9', 'txaio==2.1.0']
OTHER_PINS = ['Twisted==26.10.0', 'zope.interface==8.7', 'attrs==26.1.0', 'Automat==25.4.16', 'constantly==23.10.4',
              'hyperlink==21.0.0', 'idna==3.20', 'Incremental==24.11.0', 'packaging==26.3',
              'typing_extensions==4.16.0', 'six==1.17.0', 'wsaccel==0.6.7']

# Named selections of cases. 12 and 13 in full take about 18 minutes, all the rest together 20 seconds.
SELECTIONS = {
    'full': ['*'],
    'ci': ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '9.*', '10.*',
           '12.*.([1-6]|11)$', '13.*.([1-6]|11)$'],
    # What TLS can break: large messages, many small ones, compression, the end of a connection.
    'tls': ['1.*', '5.*', '7.*', '9.1.*', '9.2.*', '9.7.*', '10.*', '12.1*.([1-6]|11)$'],
}


class BadRun(Exception):
    """The run says nothing about the peer."""


# Installing.

def python_of_suite():
    """The interpreter of the virtual environment, made on first use."""
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'vaiven'
    home = cache / f'autobahn-{SUITE}-py{sys.version_info.major}{sys.version_info.minor}'
    python = home / 'bin' / 'python'
    cache.mkdir(parents=True, exist_ok=True)
    with open(f'{home}.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # runs that start together install once
        if not (home / '.complete').exists():
            print(f'installing Autobahn|Testsuite {SUITE} into {home}', flush=True)
            shutil.rmtree(home, ignore_errors=True)
            try:
                venv.create(home, with_pip=True)
            except subprocess.CalledProcessError as error:
                raise BadRun('python3 -m venv does not work here (Debian: apt-get install python3-venv)') from error
            pip = [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
            for arguments in (BUILD_PINS, ['--no-deps', '--no-compile', '--no-build-isolation', *SUITE_PINS],
                              ['--no-deps', *OTHER_PINS]):
                if subprocess.run([*pip, *arguments], stdin=subprocess.DEVNULL).returncode:
                    raise BadRun('pip could not install the suite')
            (home / '.complete').touch()
    return python


def certificates(out):
    """An authority of this run's own and a certificate of it for localhost, both valid for a few days."""
    def make(name, subject, *more):
        files = out / f'{name}.pem', out / f'{name}.key'
        command = ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                   '-days', '7', '-subj', f'/CN={subject}', '-keyout', files[1], '-out', files[0], *more]
        try:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except FileNotFoundError as error:
            raise BadRun('no openssl command (Debian: apt-get install openssl)') from error
        except subprocess.CalledProcessError as error:
            raise BadRun(f'openssl: {error.stderr.decode(errors="replace")}') from error
        files[1].chmod(0o600)
        return files

    ca, ca_key = make('ca', 'Conformance authority')
    cert, key = make('cert', 'localhost', '-CA', ca, '-CAkey', ca_key,
                     '-addext', 'basicConstraints=critical,CA:FALSE',
                     '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1')
    return ca, cert, key


# Processes.

def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def start(stack, command, log, **extra):
    """Starts a process that is stopped, by its own id, when the stack unwinds."""
    output = stack.enter_context(open(log, 'wb'))
    try:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, **extra)
    except OSError as error:
        raise BadRun(f'cannot start {command[0]}: {error}') from error
    stack.callback(stop, process)
    return process


def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(port, process, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BadRun(f'{process.args[0]} ended with {process.returncode} before it listened (see {log})')
        with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port), timeout=1):
            return
        time.sleep(0.1)
    raise BadRun(f'{process.args[0]} does not listen on port {port} (see {log})')


def wait_for_end(process, seconds, what):
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise BadRun(f'{what} took longer than {seconds} s') from error


# A run of each role.

class Run:
    def __init__(self, options):
        self.options = options
        self.out = pathlib.Path(options.out).resolve()
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.ca, self.cert, self.key = certificates(self.out) if options.tls else ('', '', '')

    def spec(self, target):
        cases = SELECTIONS.get(self.options.cases) or self.options.cases.split(',')
        spec = {'outdir': str(self.out / 'reports'), 'options': {}, 'cases': cases, 'exclude-cases': [],
                'exclude-agent-cases': {}, **target}
        path = self.out / 'spec.json'
        path.write_text(json.dumps(spec, indent=2))
        return path

    def command(self, **values):
        """COMMAND with its placeholders filled in."""
        values.update(agent=self.options.agent, cert=self.cert, key=self.key, ca=self.ca)
        fill = re.compile('{(' + '|'.join(values) + ')}')
        return [fill.sub(lambda match: str(values[match[1]]), word) for word in self.options.command]

    def start_suite(self, stack, mode, spec):
        command = [python_of_suite(), '-W', 'ignore', HERE / 'wstest.py', mode, spec]
        return start(stack, command, self.out / 'suite.log')

    def start_proxy(self, stack, direction, target_port, *files):
        port = free_port()
        proxy = start(stack, [sys.executable, HERE / 'tls_proxy.py', direction, port, target_port, *files],
                      self.out / 'proxy.log')
        deadline = time.monotonic() + 20
        while 'ready' not in (self.out / 'proxy.log').read_text():
            if proxy.poll() is not None or time.monotonic() > deadline:
                raise BadRun(f'the TLS proxy does not start (see {self.out / "proxy.log"})')
            time.sleep(0.05)
        return port

    def server(self, stack):
        port = free_port()
        server = start(stack, self.command(port=port, url=''), self.out / 'peer.log')
        wait_for_port(port, server, self.out / 'peer.log')
        dialled = self.start_proxy(stack, 'originate', port, self.ca) if self.options.tls else port
        url = f'ws://127.0.0.1:{dialled}{self.options.path}'
        spec = self.spec({'servers': [{'agent': self.options.agent, 'url': url}]})
        suite = self.start_suite(stack, 'fuzzingclient', spec)
        status = wait_for_end(suite, self.options.timeout, 'the suite')
        if server.poll() is not None:
            raise BadRun(f'the server ended with {server.returncode} during the run (see {self.out / "peer.log"})')
        return status

    def client(self, stack):
        port = free_port()
        url, target, environment = f'ws://127.0.0.1:{port}', {'url': f'ws://127.0.0.1:{port}'}, dict(os.environ)
        if self.options.tls:
            proxy_port = self.start_proxy(stack, 'terminate', port, self.cert, self.key)
            url, target['externalPort'] = f'wss://localhost:{proxy_port}', proxy_port
            environment.update(SSL_CERT_FILE=str(self.ca), NODE_EXTRA_CA_CERTS=str(self.ca))
        suite = self.start_suite(stack, 'fuzzingserver', self.spec(target))
        wait_for_port(port, suite, self.out / 'suite.log')
        client = start(stack, self.command(port=port, url=url), self.out / 'peer.log', env=environment)
        status = wait_for_end(client, self.options.timeout, 'the client')
        if status:
            raise BadRun(f'the client ended with {status} (see {self.out / "peer.log"})')
        stop(suite)
        return 0 if suite.returncode in (0, -15) else suite.returncode

    def run(self):
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            status = self.server(stack) if self.options.role == 'server' else self.client(stack)
        log = (self.out / 'suite.log').read_text(errors='replace')
        if status or 'SUITE ERROR' in log:
            raise BadRun(f'errors inside the suite, status {status} (see {self.out / "suite.log"})')
        planned = re.search(r'will run (\d+) test cases', log)
        index_path = self.out / 'reports' / 'index.json'
        if not planned or not index_path.exists():
            raise BadRun(f'no results (see {self.out / "suite.log"})')
        index = json.loads(index_path.read_text())
        results = index.get(self.options.agent)
        if results is None:
            raise BadRun(f'no results for {self.options.agent}, only for {", ".join(index) or "nobody"}')
        return results, int(planned[1]), time.monotonic() - started


# Judging.

def case_order(case):
    return tuple(map(int, case.split('.')))


def judge(results, planned, expected):
    """How often each outcome came out, and a line for each case that is not as expected."""
    allowed = {case: outcome for outcome, cases in expected.items() for case in cases}
    counts, complaints = {}, []
    for case in sorted(results, key=case_order):
        outcome, close = results[case]['behavior'], results[case]['behaviorClose']
        counts[outcome] = counts.get(outcome, 0) + 1
        wanted = allowed.get(case, 'OK')
        if outcome != wanted:
            complaints.append(f'{case}: {outcome}, expected {wanted}')
        elif close not in ('OK', 'INFORMATIONAL'):
            complaints.append(f'{case}: closing handshake {close}')
    if len(results) != planned:
        complaints.append(f'{planned - len(results)} of {planned} cases did not run')
    if not results:
        complaints.append('no case was run')
    return counts, complaints


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('role', choices=['server', 'client'], help='the role of the program under test')
    parser.add_argument('--cases', default='ci', help='full, ci, tls, or a comma list such as 1.*,7.9.1 (default: ci)')
    parser.add_argument('--tls', action='store_true', help='put TLS between')
    parser.add_argument('--path', default='/echo', help='path of the echo endpoint (default: /echo)')
    parser.add_argument('--agent', default='vaiven', help='name in the reports (default: vaiven)')
    parser.add_argument('--out', required=True, help='directory for logs and reports; emptied first')
    parser.add_argument('--expected', default=HERE / 'expected.json', help='outcomes other than OK')
    parser.add_argument('--timeout', type=int, default=3600, help='seconds for the whole run (default: 3600)')
    parser.add_argument('command', nargs='+', metavar='COMMAND', help='after --: what starts the program under test')
    return parser.parse_args()


def main():
    options = parse_arguments()
    name = f'{options.role}{" over TLS" if options.tls else ""}, cases {options.cases}'
    expected = json.loads(pathlib.Path(options.expected).read_text())[options.role]
    try:
        results, planned, seconds = Run(options).run()
    except BadRun as error:
        print(f'{name}: INVALID RUN: {error}')
        return 2
    counts, complaints = judge(results, planned, expected)
    summary = ', '.join(f'{count} {outcome}' for outcome, count in sorted(counts.items(), key=lambda item: -item[1]))
    print(f'{name}: {summary}, of {planned}, in {seconds:.0f} s')
    for line in complaints:
        print(f'  {line}')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
