"""Nothing is lost: many journeys through real bridge processes while processes, Redis and both
vendors fail (``make chaos``).

Both vendors are the bridge's fakes, in this process; softgarden's and Equalture's ledgers and Redis
are compared by id when everything has settled. What has to hold is section 6 of the interface: see
``audit``.

| module | holds |
|---|---|
| ``plan`` | options and, from the seed, what each journey does |
| ``stage`` | Redis, the bridge processes, both fakes, and a folder for configuration and logs |
| ``vendors`` | the fakes as chaos needs them: softgarden reads on every notification, Equalture
knows its links | | ``actors`` | one journey: softgarden, the candidate and Equalture's callbacks,
all patient, none clever | | ``faults`` | the saboteur: kill -9, outages and faults of the vendors |
| ``evidence`` | what is known when all is over |
| ``audit`` | the comparison, without I/O |
| ``report`` | the table and the JSON |
| ``run`` | all of it, bounded in time |
"""
