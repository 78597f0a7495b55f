"""Measures the client against its peers: `python -m benchmarks`, or `nox -s bench`.

Where the time goes that is above a goal, on a machine with other work (2 CPUs, CPython 3.11):

- Longest stall with 5,000 calls at once, goal 50 ms: 75 to 125 ms, of which a full pass of CPython's garbage collector
  takes 50. The first step of each call has to run in the same turn of the loop; without the collector it takes 11 µs,
  and its task 2 µs. The bare `asyncio.Protocol` stalls for 300 ms, for it connects 5,000 times in that turn;
  pyreqwest for 80 to 125 ms.
- 100,000 created at once, goal 2 s: 1.3 s of CPU without the collector (13 µs each), 2.7 s with it: it visits what all
  of them hold again whenever that has grown by a quarter. Tasks that only wait for a future take 0.3 and 0.8 s.
- The collector's share with 5,000 at once, goal 15 %: 26 to 29 %; of a steady load 8 %. A call in flight is 29 objects
  that it visits: 17 are asyncio's and the socket's, 5 the engine's, 2 the limiter's.
- A deadline on each call, goal 1.05: 1.06 to 1.16, 5 to 10 µs: a second coroutine, its timer, and three objects.
- TLS at 100 in flight, goal 0.80: 0.81 (0.62 at 1,000). A third of a call is then asyncio's TLS, under both clients.
"""
