# Packer 1.7 and newer: packer init packer. It is a file of its own because older ones, which bring the builder with
# them, don't know the block; they are given box.pkr.hcl alone.
packer {
  required_plugins {
    hcloud = {
      source  = "github.com/hetznercloud/hcloud"
      version = "~> 1.7"
    }
  }
}
