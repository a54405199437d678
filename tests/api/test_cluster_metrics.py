"""Metrics of several nodes as one text."""

from regraft.api.cluster_metrics import summed

NODE = """\
# HELP ray_regraft_requests_total Prediction requests answered.
# TYPE ray_regraft_requests_total counter
ray_regraft_requests_total{{endpoint="a",version="1",status="200",WorkerId="{worker}"}} 2.0
# HELP ray_regraft_queue_seconds Waiting for a batch.
# TYPE ray_regraft_queue_seconds histogram
ray_regraft_queue_seconds_bucket{{endpoint="a",le="0.1",WorkerId="{worker}"}} 1.0
ray_regraft_queue_seconds_bucket{{endpoint="a",le="+Inf",WorkerId="{worker}"}} 3.0
ray_regraft_queue_seconds_count{{endpoint="a",WorkerId="{worker}"}} 3.0
ray_regraft_queue_seconds_sum{{endpoint="a",WorkerId="{worker}"}} 99.0
# HELP ray_regraft_queue_seconds_exact_total Sum of regraft_queue_seconds.
# TYPE ray_regraft_queue_seconds_exact_total counter
ray_regraft_queue_seconds_exact_total{{endpoint="a",WorkerId="{worker}"}} 0.25
# HELP ray_node_cpu Of Ray itself.
# TYPE ray_node_cpu gauge
ray_node_cpu 5.0
"""
SUMMED = """\
# HELP regraft_queue_seconds Waiting for a batch.
# TYPE regraft_queue_seconds histogram
regraft_queue_seconds_bucket{endpoint="a",le="0.1"} 2
regraft_queue_seconds_bucket{endpoint="a",le="+Inf"} 6
regraft_queue_seconds_count{endpoint="a"} 6
regraft_queue_seconds_sum{endpoint="a"} 0.5
# HELP regraft_requests_total Prediction requests answered.
# TYPE regraft_requests_total counter
regraft_requests_total{endpoint="a",version="1",status="200"} 4
"""


def test_nodes_are_summed_and_the_head_of_a_counter_bears_its_samples_name() -> None:
    assert summed([NODE.format(worker="x"), "", NODE.format(worker="y")]) == SUMMED
