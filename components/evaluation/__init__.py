"""What is known of a model on rows later than those it learnt from: values, no decisions."""
