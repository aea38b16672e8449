"""VPC, subnets, routes and flow logs."""
