"""What on a box would stop mltop from doing its job: looked at with a deadline, judged purely, each with a remedy."""
