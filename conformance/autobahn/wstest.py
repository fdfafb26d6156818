"""Runs Autobahn|Testsuite 25.10.1, which is Python 2 source, on Python 3.11 to 3.13.

    wstest.py fuzzingclient|fuzzingserver SPEC.json

The suite's modules are translated while they are imported; nothing on disk changes. Python 2 `str` semantics are
kept by reading every source file as latin-1, so that each literal is a str of code points 0..255, one per octet.
Such a str becomes bytes (and back) only where the suite calls into, or is called by, autobahn 0.10.9, which knows
Python 3 itself. A rule that finds nothing to change is an error: the pinned versions moved and the rules need a look.

HTML reports are not written, only index.json and one JSON file for each case. Exit: 0, or 3 after an error inside
the suite, which must never pass for a verdict on the peer.
"""

import binascii
import functools
import importlib.abc
import importlib.machinery
import json
import os
import re
import sys
import types

# Applied to every module of the suite; each may match nothing.
COMMON_RULES = [
    (r'(?m)^( *)print (.+)$', r'\1print(\2, flush = True)'),
    (r'(?m)^from (case\w*) import', r'from .\1 import'),
    (r'([\w.\[\]]+)\.has_key\((\w+|"[^"]*")\)', r'(\2 in \1)'),
    (r'(?m)^(import .*)\bpkg_resources, ', r'\1'),
    (r'(?m)^(import .*), pkg_resources$', r'\1'),
    (r'\bpkg_resources\.resource_filename\("autobahntestsuite",\s*', r'_suite_file('),
    (r'\bbinascii\.(b2a_hex|hexlify)\(', r'_hex('),
    (r'\(object, Case, \)', r'(Case, )'),
]

# Applied to one module; each must match.
RULES = {
    'autobahntestsuite': [(r'(?s)\A.+\Z', r'from ._version import __version__\nversion = __version__\n')],
    'autobahntestsuite.fuzzing': [
        (r'from report import (.*\\\n)*.*\n', r''),
        (r'from twisted\.internet import reactor, ssl', r'from twisted.internet import reactor'),
        (r'produceHtml = True', r'produceHtml = False'),
        (r"p = ''\.join\(payload\)", r"p = b''.join(payload)"),
        (r'json\.dumps\(case, ', r'json.dumps(case, default = _text, '),
    ],
    'autobahntestsuite.caseset': [(r"'\\\.'", r"r'\\.'")],
    # Not in the suite's list of cases, and it does not parse.
    'autobahntestsuite.case': [(r'from case9_9_1 import \*', r'')],
    'autobahntestsuite.case.case': [(r'pickle\.dumps\(obj1\) == pickle\.dumps\(obj2\)', r'obj1 == obj2')],
    'autobahntestsuite.case.case6_x_x': [(r'v\.validate\(vss\[:i\]\)', r'v.validate(_octets(vss[:i]))')],
    'autobahntestsuite.case.case10_1_1': [(r'len\(self\.payload\) / self', r'len(self.payload) // self')],
    'autobahntestsuite.case.case12_x_x': [
        (r'(def onMessage\(self, msg, binary\):\n)', r'\1   msg = _octets(msg)\n'),
    ],
    'autobahn.websocket.protocol': [(r'payload_len / len\(payload\)', r'payload_len // len(payload)')],
}


def octets(value):
    """The bytes that a Python 2 str of octets stands for; other values as they are."""
    return value.encode('latin-1') if isinstance(value, str) else value


def text(value):
    """The str of octets for bytes; for other values, what they print."""
    return value.decode('latin-1') if isinstance(value, bytes) else str(value)


def hex_of(value):
    return binascii.b2a_hex(octets(value)).decode('ascii')


def suite_file(path):
    return os.path.join(os.path.dirname(sys.modules['autobahntestsuite'].__file__), path)


class TranslatingLoader(importlib.machinery.SourceFileLoader):
    def get_code(self, name):
        # Never from a .pyc file: that would be the untranslated source.
        in_suite = name.split('.')[0] == 'autobahntestsuite'
        source = self.get_data(self.path).decode('latin-1' if in_suite else 'utf-8').replace('\r\n', '\n')
        for pattern, new in RULES.get(name, []):
            source, count = re.subn(pattern, new, source)
            if not count:
                raise ImportError(f'{name}: nothing matches {pattern!r}; is the pinned version installed?')
        for pattern, new in COMMON_RULES if in_suite else []:
            source = re.sub(pattern, new, source)
        return compile(source, self.path, 'exec', dont_inherit=True)

    def exec_module(self, module):
        module.__dict__.update(xrange=range, unichr=chr, _octets=octets, _text=text, _hex=hex_of, _suite_file=suite_file)
        super().exec_module(module)


class TranslatingFinder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split('.')[0] != 'autobahntestsuite' and name not in RULES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec and spec.origin:
            spec.loader = TranslatingLoader(name, spec.origin)
        return spec


def outward(method):
    """Suite -> autobahn: a str of octets becomes bytes."""
    @functools.wraps(method)
    def call(self, *args, **named):
        return method(self, *map(octets, args), **{name: octets(value) for name, value in named.items()})
    return call


def inward(method):
    """Autobahn -> suite: bytes become a str of octets."""
    @functools.wraps(method)
    def call(self, payload, *args):
        return method(self, payload.decode('latin-1'), *args)
    return call


def listen(listen_ws, external_port, factory, *args):
    """Listens on loopback only; the suite would on every interface."""
    # The port that clients name in Host is the proxy's, where one stands between.
    factory.externalPort = external_port or factory.externalPort
    return listen_ws(factory, *args, interface='127.0.0.1')


def adapt(fuzzing, external_port):
    """Replaces what translation of the source alone cannot mend."""
    def ascii_log_data(data, maxlen=64, replace=False):
        data = octets(data)
        try:
            head = data[:maxlen].decode('utf8', 'replace' if replace else 'strict')
            return head + ' ...' if len(data) > maxlen - 4 else head
        except UnicodeDecodeError:
            return '0x' + fuzzing.binLogData(data, maxlen)

    # Only ws:// is spoken here; TLS is the business of tls_proxy.py.
    fuzzing.ssl = types.SimpleNamespace(ClientContextFactory=lambda: None)
    fuzzing.listenWS = functools.partial(listen, fuzzing.listenWS, external_port)
    fuzzing.asciiLogData = ascii_log_data
    for protocol in fuzzing.FuzzingServerProtocol, fuzzing.FuzzingClientProtocol:
        for name in 'sendFrame', 'sendMessage', 'sendMessageFrameData', 'sendCloseFrame', 'sendData':
            setattr(protocol, name, outward(getattr(protocol, name)))
    for name in 'onMessage', 'onPong':
        setattr(fuzzing.FuzzingProtocol, name, inward(getattr(fuzzing.FuzzingProtocol, name)))


def main():
    mode, spec_path = sys.argv[1:]
    with open(spec_path) as file:
        spec = json.load(file)

    sys.meta_path.insert(0, TranslatingFinder())
    from autobahntestsuite import fuzzing
    from twisted.internet import reactor
    from twisted.python import log
    adapt(fuzzing, spec.get('externalPort'))
    errors, factories = [], []

    def observe(event):
        if event.get('isError'):
            errors.append(event)
            print('SUITE ERROR', log.textFromEventDict(event), flush=True)

    def remember(self, *args, init=fuzzing.FuzzingFactory.__init__):
        init(self, *args)
        factories.append(self)

    log.startLoggingWithObserver(observe, setStdout=False)
    fuzzing.FuzzingFactory.__init__ = remember
    if mode == 'fuzzingclient':
        fuzzing.startClient(spec)
    else:
        fuzzing.startServer(spec, 0)
    if not all(factory.specCases for factory in factories):
        sys.exit('SUITE ERROR no case has such a number')  # it would wait forever
    # Also after SIGTERM: what was run so far is reported.
    reactor.addSystemEventTrigger('before', 'shutdown', lambda: [factory.createReports() for factory in factories])
    reactor.run()
    sys.exit(3 if errors else 0)


if __name__ == '__main__':
    main()
