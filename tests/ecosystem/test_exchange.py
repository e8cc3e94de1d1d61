from ecosystem.plan import HAND, PORTAL, REGISTER


def path(provider, service, rest=""):
    return f"/r1/{provider.short}/{service}{rest}"


def test_smoke(devnet, http):
    r = http.get(devnet.police.http_url + path(REGISTER, "open", "/a"), headers={"X-Road-Client": PORTAL.short})
    print(r.status_code, r.text, r.headers)
    r = http.get(devnet.police.http_url + path(HAND, "held", "/a"), headers={"X-Road-Client": PORTAL.short})
    print(r.status_code, r.text, r.headers)
    r = http.get(devnet.held.url + path(REGISTER, "open", "/a"), headers={"X-Road-Client": HAND.short})
    print(r.status_code, r.text, r.headers)
    r = http.get(devnet.held.url + path(HAND, "held", "/a"), headers={"X-Road-Client": HAND.short})
    print(r.status_code, r.text, r.headers)
    print(devnet.recorder.asked)
    print(len(devnet.held.log.saved))
