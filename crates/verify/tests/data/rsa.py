#!/usr/bin/env python3
"""Writes rsa.json: RSA signatures, each right or with one thing wrong, by keys of `openssl prime`. With plain arithmetic, because no
library signs what is wrong. Needs openssl and nothing of ours; the keys are thrown away, so that each run writes other bytes."""

import hashlib
import json
import math
import os
import subprocess

MESSAGE = b"message"
HASHES = {"sha256": "0609608648016503040201", "sha384": "0609608648016503040202", "sha512": "0609608648016503040203"}


def prime(bits):
    return int(subprocess.run(["openssl", "prime", "-generate", "-bits", str(bits)], capture_output=True, check=True).stdout)


def numbers(bits, e=65537):
    while True:
        p, q = prime((bits + 1) // 2), prime(bits // 2)
        n, order = p * q, (p - 1) * (q - 1)
        if n.bit_length() == bits and math.gcd(e, order) == 1:
            return n, e, pow(e, -1, order)


def tlv(tag, contents):
    length = len(contents)
    if length < 0x80:
        return bytes([tag, length]) + contents
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + contents


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def public(n, e):
    return tlv(0x30, integer(n) + integer(e))


def digest(hash, data):
    return hashlib.new(hash, data).digest()


def pkcs1(hash, size, parameters=b"\x05\x00", padding=None, behind=b"", head=b"\x00\x01", fill=0xFF):
    info = tlv(0x30, tlv(0x30, bytes.fromhex(HASHES[hash]) + parameters) + tlv(4, digest(hash, MESSAGE))) + behind
    padding = size - len(info) - 3 if padding is None else padding
    text = head + bytes([fill]) * padding + b"\x00" + info
    return text + os.urandom(size - len(text))


def mask(hash, seed, length):
    blocks = (digest(hash, seed + i.to_bytes(4, "big")) for i in range(length // 20 + 1))
    return b"".join(blocks)[:length]


def pss(hash, bits, salt=None, of_mask=None, trailer=0xBC, separator=1, top=0, zeros=0):
    em_bits = bits - 1
    size = (em_bits + 7) // 8
    salt = os.urandom(hashlib.new(hash).digest_size if salt is None else salt)
    seed = digest(hash, bytes(8) + digest(hash, MESSAGE) + salt)
    db = bytearray(size - len(seed) - len(salt) - 2) + bytes([separator]) + salt
    if zeros:
        db[1] = zeros
    masked = bytearray(a ^ b for a, b in zip(db, mask(of_mask or hash, seed, len(db))))
    masked[0] &= 0xFF >> (8 * size - em_bits)
    masked[0] |= top
    return bytes(masked) + seed + bytes([trailer])


cases = []


def case(what, good, padding, hash, key, signature):
    cases.append({"what": what, "good": good, "padding": padding, "hash": hash, "key": key.hex(), "signature": signature.hex()})


def sign(key, text):
    n, _, d = key
    value = int.from_bytes(text, "big")
    return None if value >= n else pow(value, d, n).to_bytes((n.bit_length() + 7) // 8, "big")


for bits, e in [(1024, 65537), (2047, 65537), (2048, 65537), (2048, 3), (2049, 65537), (3072, 65537), (4096, 65537), (8192, 65537)]:
    key = numbers(bits, e)
    n, e, _ = key
    what = f"{bits} bits, exponent {e}"
    for hash in HASHES if bits in (2048, 2049) else ["sha384" if bits < 8192 else "sha512"]:
        case(what, bits >= 2048, "pkcs1", hash, public(n, e), sign(key, pkcs1(hash, (bits + 7) // 8)))
        if hash != "sha512" or bits > 1024:
            case(what, bits >= 2048, "pss", hash, public(n, e), sign(key, pss(hash, bits)))

key = numbers(2048)
n, e, d = key
right, hash = public(n, e), "sha256"
good = sign(key, pkcs1(hash, 256))
case("right", True, "pkcs1", hash, right, good)
for what, text in [
    ("a DigestInfo without parameters", pkcs1(hash, 256, parameters=b"")),
    ("bytes behind the DigestInfo", pkcs1(hash, 256, padding=8)),
    ("less padding and a byte behind", pkcs1(hash, 256, padding=201, behind=b"\x00")),
    ("other padding", pkcs1(hash, 256, fill=0xFE)),
    ("a block of type 2", pkcs1(hash, 256, head=b"\x00\x02")),
    ("a block of type 0", pkcs1(hash, 256, head=b"\x00\x00", fill=0)),
    ("another hash", pkcs1("sha384", 256)),
]:
    case(what, False, "pkcs1", hash, right, sign(key, text))
case("right", True, "pss", hash, right, sign(key, pss(hash, 2048)))
for what, text in [
    ("no salt", pss(hash, 2048, salt=0)),
    ("a salt of 20 bytes", pss(hash, 2048, salt=20)),
    ("a salt of 31 bytes", pss(hash, 2048, salt=31)),
    ("a salt of 33 bytes", pss(hash, 2048, salt=33)),
    ("the longest salt", pss(hash, 2048, salt=222)),
    ("a mask of another hash", pss(hash, 2048, of_mask="sha384")),
    ("another trailer", pss(hash, 2048, trailer=0xCC)),
    ("no separator", pss(hash, 2048, separator=0)),
    ("padding that is not zero", pss(hash, 2048, zeros=1)),
    ("another hash", pss("sha384", 2048)),
]:
    case(what, False, "pss", hash, right, sign(key, text))
top = None
while top is None:
    top = sign(key, pss(hash, 2048, top=0x80))
case("a bit above the encoded message", False, "pss", hash, right, top)
for padding, signature in [("pkcs1", good), ("pss", sign(key, pss(hash, 2048)))]:
    number = int.from_bytes(signature, "big")
    if number + n < 1 << 2048:
        case("the modulus added", False, padding, hash, right, (number + n).to_bytes(256, "big"))
    case("a zero before it", False, padding, hash, right, b"\x00" + signature)
    case("a byte behind it", False, padding, hash, right, signature + b"\x00")
    case("cut", False, padding, hash, right, signature[:-1])
    case("nothing", False, padding, hash, right, b"")
    case("zero", False, padding, hash, right, bytes(256))
    case("one", False, padding, hash, right, bytes(255) + b"\x01")
    case("the modulus", False, padding, hash, right, n.to_bytes(256, "big"))
    case("the modulus less one", False, padding, hash, right, (n - 1).to_bytes(256, "big"))
    wrapped = tlv(0x30, tlv(0x30, bytes.fromhex("06092a864886f70d010101") + b"\x05\x00") + tlv(3, b"\x00" + right))
    for what, other in [
        ("a key in its SubjectPublicKeyInfo", wrapped),
        ("a byte behind the key", right + b"\x00"),
        ("a key that is cut", right[:-1]),
        ("a third number", tlv(0x30, integer(n) + integer(e) + integer(1))),
        ("one number", tlv(0x30, integer(n))),
        ("a modulus with a zero too many", tlv(0x30, tlv(2, b"\x00" + integer(n)[4:]) + integer(e))),
        ("an exponent with a zero too many", tlv(0x30, integer(n) + tlv(2, b"\x00\x01\x00\x01"))),
        ("a negative modulus", tlv(0x30, tlv(2, n.to_bytes(256, "big")) + integer(e))),
        ("a negative exponent", tlv(0x30, integer(n) + tlv(2, b"\x81"))),
        ("an exponent of 0", public(n, 0)),
        ("an exponent of 2", public(n, 2)),
        ("an even exponent", public(n, 65538)),
        ("an exponent of 34 bits", public(n, 2**33 + 1)),
        ("an exponent of 5 bytes and 33 bits", public(n, 2**33 - 1)),
        ("an exponent as long as the modulus", public(n, n - 2)),
        ("an even modulus", public(n + 1, e)),
        ("a modulus of 8193 bits", public((1 << 8192) | 1, e)),
        ("a set", tlv(0x31, integer(n) + integer(e))),
    ]:
        case(what, False, padding, hash, other, signature)
    case("an exponent of 1: the encoded message itself", False, padding, hash, public(n, 1),
         pkcs1(hash, 256) if padding == "pkcs1" else pss(hash, 2048))

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "rsa.json"), "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
