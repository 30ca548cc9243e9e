"""The same accounts from a cluster: blocks.py is the work, job.py what is around it; spark.py and dask.py engines."""
