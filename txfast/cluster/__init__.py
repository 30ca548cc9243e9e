"""Runs over a cluster give the same accounts and rejects as one machine, and the same counts and sums in the stats.

Inputs are cut into ranges (cutting.py). Map tasks read them and divide their rows by shard (map.py); reduce tasks
settle the shards (reduce.py); if rejects are wanted, tasks read the ranges once more for them (rejects.py). job.py and
state.py are the driver's side; spark.py and dask.py run the tasks on an engine.
"""
