"""The same accounts from a cluster: ranges.py is what is read, blocks.py the work,
job.py and state.py what is around it; spark.py and dask.py engines."""
