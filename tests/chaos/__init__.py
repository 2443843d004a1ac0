"""Nothing is lost: many journeys through real bridge processes while processes, Redis and both
vendors fail (``make chaos``).

Both vendors are the bridge's fakes, in this process; softgarden's and Equalture's ledgers and Redis
are compared by id when everything has settled. What has to hold is section 6 of the interface: see
``audit``. What fails is a scenario's matter: in the standard one everything meets everything, each
of the others has one kind of trouble (see ``scenarios``).

| module | holds |
|---|---|
| ``plan`` | options and, from the seed, what each journey does |
| ``stage`` | Redis, the bridge processes, both fakes, and a folder for configuration and logs |
| ``lossy_link``, ``shifted_bridge`` | between a bridge and Redis: what loses answers; a bridge on a
host with a wrong clock |
| ``vendors`` | the fakes as chaos needs them: softgarden reads on every notification, Equalture
knows its links |
| ``actors`` | one journey: softgarden, the candidate and Equalture's callbacks, all patient, none
clever |
| ``scenarios``, ``faults`` | which strikes belong to a run; the saboteur, who has them come, and
lets the vendors fail |
| ``scene`` | what a strike has at hand, and where it notes what it saw |
| ``outages``, ``refusals``, ``damage``, ``reloads``, ``partial_outage``, ``older_backup``,
``backlog`` | the strikes, each of which waits until its trouble has come about and is over |
| ``evidence`` | what is known when all is over |
| ``audit`` | the comparison, without I/O |
| ``report`` | the table and the JSON |
| ``run`` | all of it, bounded in time |

No strike measures time: it waits for what must come about, for a minute where a second would do.
"""
