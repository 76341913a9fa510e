"""The command line: Hydra application, progress, trackers. The only room that imports hydra, omegaconf or wandb."""
