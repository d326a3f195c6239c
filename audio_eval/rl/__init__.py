"""The parts adaptation methods are made of: groups, votes, rewards, advantages, attempts, the loss and the loop."""
