"""The greylister behind softfail(8): keys, policy, stores and what people do with them."""
