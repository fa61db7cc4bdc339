#!/usr/bin/env python3
"""TLS: versions, certificates that are renewed, files that are wrong."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import unittest
import warnings

import server as fathom
from edge import Directory, MODEL, SIM, ask, eventually, refused_start


class Tls(Directory):
    def certificate(self, name, days=2):
        """A self-signed one for localhost, put in place as one that was renewed is."""
        files = [os.path.join(self.path, f) for f in ("next.pem", "next.key")]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            + ["-nodes", "-days", str(days), "-subj", f"/CN={name}"]
            + ["-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
            check=True,
            capture_output=True,
        )
        for file, end in zip(files, ("pem", "key")):
            os.replace(file, os.path.join(self.path, "server." + end))
        return os.path.join(self.path, "server.pem"), os.path.join(self.path, "server.key")

    def serve(self, pem, key):
        return fathom.Server(MODEL, *SIM, "--tls-cert", pem, "--tls-key", key)

    def shown(self, server, **versions):
        """The name in the certificate that the server shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions are meant
            for name, version in versions.items():
                setattr(context, name, version)
        with socket.create_connection((server.host, server.port), timeout=60) as plain:
            with context.wrap_socket(plain) as client:
                der = client.getpeercert(binary_form=True)
        text = subprocess.run(
            ["openssl", "x509", "-inform", "der", "-noout", "-subject"],
            input=der,
            check=True,
            capture_output=True,
        ).stdout.decode()
        return text.strip().rpartition("= ")[2]

    def test_serves_streams_and_refuses_what_is_old(self):
        pem, key = self.certificate("one")
        with self.serve(pem, key) as server:
            self.assertTrue(server.url.startswith("https://"))
            context = ssl.create_default_context(cafile=pem)
            body = {"model": "tiny", "prompt": "x", "max_tokens": 200, "ignore_eos": True}
            body["stream"] = True
            status, _, text = ask(
                server, "POST", "/v1/completions", {}, json.dumps(body), context=context
            )
            self.assertEqual(status, 200)
            self.assertGreater(text.count(b"data: "), 100)
            self.assertTrue(text.endswith(b"data: [DONE]\n\n"), text[-100:])
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                limits = {"minimum_version": version, "maximum_version": version}
                self.assertEqual(self.shown(server, **limits), "one")
            with self.assertRaises(OSError):
                self.shown(server, maximum_version=ssl.TLSVersion.TLSv1_1)
            for trusted, code, said in (
                (["--ca", pem], 0, ""),
                ([], 1, "certificate that is trusted"),
            ):
                chat = [fathom.fathom_binary(), "chat", "--url", server.url, "--max-tokens", "4"]
                done = subprocess.run(
                    chat + trusted,
                    input="hello\n",
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(said, done.stderr)
            # Plain HTTP gets no answer, and the server goes on.
            with self.assertRaises((OSError, http.client.HTTPException)):
                ask(server, "GET", "/health")
            self.assertEqual(ask(server, "GET", "/health", context=context)[0], 200)
            self.assertEqual(server.stop(), 0, server.stderr())

    def test_a_renewed_certificate_is_shown_without_a_restart(self):
        pem, key = self.certificate("one")
        with self.serve(pem, key) as server:
            self.assertEqual(self.shown(server), "one")
            self.certificate("two")
            self.assertTrue(eventually(lambda: self.shown(server) == "two"))
            self.write("server.key", "no key\n")
            self.assertTrue(eventually(lambda: "kept as they were" in server.stderr()))
            self.assertEqual(self.shown(server), "two")

    def test_bad_files_are_refused(self):
        pem, key = self.certificate("one")
        self.assertIn("--tls-key", refused_start("--tls-cert", pem))
        self.assertIn(
            "server.key: expected a PEM certificate", refused_start("--tls-cert", key, "--tls-key", key)
        )
        self.assertIn("none", refused_start("--tls-cert", pem, "--tls-key", self.path + "/none"))


if __name__ == "__main__":
    unittest.main()
