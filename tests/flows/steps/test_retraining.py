import time
def test_a(trained, day):
    t=time.time()
    d=trained.ledger.decisions()[0]
    print(d.what, d.why, d.tested_version, d.served_version)
    print(trained.home.registry.aliases("bikes"), time.time()-t)
    t=time.time()
    trained.ingest(day(90)); print(time.time()-t)
    d=trained.train(day(90)); print(d.what,d.why,time.time()-t)
