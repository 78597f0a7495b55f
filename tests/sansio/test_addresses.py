"""Which addresses a clip may come from."""

from __future__ import annotations

import pytest

from relaydance_async import DownloadError
from relaydance_async._sansio.addresses import check_public, is_loopback, is_public

PUBLIC = [
    *["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::808:808"],
    # The neighbours of what is special.
    *["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"],
    *["169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0"],
    *["198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::", "2001:db7:ffff::1", "2001:db9::", "3fff:1000::"],
]
NOT_PUBLIC = [
    *["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "192.0.2.1"],
    *["224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1"],
    # Special in IANA's registries; some releases of Python take them for public.
    *[
        "192.0.0.8",
        "192.0.0.170",
        "192.88.99.1",
        "198.51.100.1",
        "203.0.113.9",
        "64:ff9b:1::1",
        "100::1",
        "100:0:0:1::1",
    ],
    *["100:0:0:1::1", "2001:2::1", "2001:10::1", "2001:1ff::1", "3fff::1", "3fff:fff::1", "5f00::1", "4000::1", "1::1"],
    *["::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "fec0::1", "ff02::1", "2001:db8::1", "fd00:ec2::254"],
    # IPv4 addresses in IPv6: mapped, compatible, 6to4, Teredo, NAT64.
    *["::ffff:10.0.0.1", "::ffff:169.254.169.254", "::10.0.0.1", "2002:a00:1::", "2002:7f00:1::1", "2002:a9fe:a9fe::"],
    *[
        "2001:0:a00:1::f7f7:f7f7",
        "2001:0:808:808::f5ff:fffe",
        "64:ff9b::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
    ],
    *["", "example.com", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "10.0.0.1."],
]


@pytest.mark.parametrize("address", PUBLIC)
def test_anyones_address_is_public(address: str) -> None:
    assert is_public(address)
    check_public("clips.example", address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_every_other_address_is_refused_in_whatever_form(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(DownloadError, match=r"clips\.example has the private address"):
        check_public("clips.example", address)


@pytest.mark.parametrize("host", ["localhost.", "127.1", "2130706433", "0x7f.1", "localhost.example", "0.0.0.0", ""])
def test_loopback_has_one_form_only(host: str) -> None:
    assert not is_loopback(host)
