"""The same accounts from a cluster: blocks.py is the work, job.py puts it together, spark.py and dask.py have it done."""
