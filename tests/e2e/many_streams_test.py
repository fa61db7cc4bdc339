#!/usr/bin/env python3
"""2,000 streams at once from one engine process: none fails, and memory stays bounded."""

import os
import unittest

import many_streams

STREAMS = 2000
TOKENS = 24
# Generous: many_streams.py measures; docs/benchmarks.md has the figures.
MOST_KIB_A_STREAM = 80
SANITIZED = bool(os.environ.get("FATHOM_SANITIZED"))


class ManyStreams(unittest.TestCase):
    def test_no_stream_fails(self):
        with many_streams.start(STREAMS) as server:
            result = many_streams.measure(server, STREAMS, TOKENS)
            print(result)
            if not SANITIZED:
                self.assertLess(result["kib_a_stream"], MOST_KIB_A_STREAM)
            self.assertEqual(server.stop(), 0, server.stderr())


if __name__ == "__main__":
    unittest.main()
