"""Where webhooks may go, and where nobody is to be led."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.channels.signing import signature
from store.encryption import Cipher, Undecryptable
from store.networks import may_reach
from store.webhooks.addresses import target_of

CLOSED = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "168.63.129.16"),
    *("0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.88.99.1"),  # noqa: S104
    *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"),
)
OPEN = ("1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1")
# What `printf '1763764870.{}' | openssl dgst -sha256 -hmac k` prints.
EXPECTED = "6d853777d83ed45b5b72f50c06006e1f928a2c6452bb60c1e42db72246dec3a9"
SECRET = "only for the tests, 32 characters and more"


@pytest.mark.parametrize("address", CLOSED)
def test_no_address_of_our_own_network_is_reached(address: str) -> None:
    assert not may_reach(ip_address(address))
    with pytest.raises(ValueError, match="no public address"):
        target_of(f"https://{f'[{address}]' if ':' in address else address}/hook")


@pytest.mark.parametrize("address", OPEN)
def test_public_ones_are(address: str) -> None:
    assert may_reach(ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_that_is_wrapped_is_judged_like_itself(address: object) -> None:
    plain = may_reach(ip_address(str(address)))
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert may_reach(ip_address(wrapped)) == plain


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://cmms.example/",
            "ftp://cmms.example/",
            "cmms.example",
            "https://",
            "https:///x",
            "https://x y.example/",
        ),
        *("https://u:p@cmms.example/", "https://u@cmms.example/", "https://cmms.example/#x", "https://localhost/"),
        *("https://cmms/", "https://2130706433/", "https://cmms.example:0/", "https://cmms.example:99999/"),
        *("https://cmms.example/\r\nX: y", "https://bücher.example/", "https://cmms.example/" + "x" * 2000),
    ],
)
def test_what_is_no_https_url_of_a_public_name_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        target_of(url)


def test_a_url_is_taken_apart() -> None:
    target = target_of("https://CMMS.example.:8443/a/b?c=d&e")
    assert (target.secure, target.host, target.port, target.path) == (True, "cmms.example", 8443, "/a/b?c=d&e")
    assert target_of("http://127.0.0.1:9/", to_loopback=True).port == 9
    with pytest.raises(ValueError, match="no public address"):
        target_of("http://10.0.0.1/", to_loopback=True)


def test_a_key_opens_under_its_own_secret_and_name_alone() -> None:
    locked = Cipher(SECRET, "webhooks").encrypt("one", "whk_of mine")
    assert Cipher(SECRET, "webhooks").decrypt("one", locked) == "whk_of mine"
    assert Cipher(SECRET, "webhooks").encrypt("one", "whk_of mine") != locked
    changed = locked[:-1] + bytes([locked[-1] ^ 1])
    for secret, name, text in ((SECRET, "two", locked), (SECRET + "!", "one", locked), (SECRET, "one", changed)):
        with pytest.raises(Undecryptable):
            Cipher(secret, "webhooks").decrypt(name, text)


def test_the_signature_is_as_it_was_promised() -> None:
    assert signature(["k"], b"{}", 1763764870) == "t=1763764870,v1=" + EXPECTED
    assert signature(["k", "l"], b"{}", 1763764870).count("v1=") == 2
