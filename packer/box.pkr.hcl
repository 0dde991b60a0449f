# The snapshot that boxes start from: Debian 13 at Hetzner Cloud, and the steps of provision/ on it.
#
# scripts/image snapshot makes the bundle and runs this. It is valid for Packer 1.6.6, too: only settings that both know.

variable "bundle" {
  type        = string
  description = "The archive that scripts/image bundle makes: programs, units, steps."
}

variable "hcloud_token" {
  type        = string
  default     = env("HCLOUD_TOKEN")
  sensitive   = true
  description = "A token of the project in which the snapshot is made, with the right to write; from HCLOUD_TOKEN."
}

variable "hcloud_endpoint" {
  type        = string
  default     = "https://api.hetzner.cloud/v1"
  description = "The provider's API."
}

variable "base_image" {
  type        = string
  default     = "debian-13"
  description = "The provider's image to begin with: Debian 13."
}

variable "location" {
  type        = string
  default     = "fsn1"
  description = "Where the server of the build runs. The snapshot can be used everywhere."
}

variable "server_type" {
  type        = string
  default     = "cx23"
  description = "The server of the build. Its disk is the smallest that boxes may have, its architecture theirs."
}

variable "snapshot_name" {
  type        = string
  default     = "berth-box-{{timestamp}}"
  description = "The snapshot's description."
}

variable "ssh" {
  type        = string
  default     = "off"
  description = "off, or keys: whether boxes have an sshd, for root and the keys of the provider's metadata."
}

variable "extra_packages" {
  type        = string
  default     = ""
  description = "More packages of Debian's, separated by blanks."
}

variable "debian_mirror" {
  type        = string
  default     = ""
  description = "A mirror of Debian that has sid, for ttyd. When empty, that of the base image."
}

variable "ssh_port" {
  type        = number
  default     = 22
  description = "The port of the build server's sshd."
}

source "hcloud" "box" {
  token           = var.hcloud_token
  endpoint        = var.hcloud_endpoint
  image           = var.base_image
  location        = var.location
  server_type     = var.server_type
  server_name     = "berth-image-{{timestamp}}"
  ssh_username    = "root"
  ssh_port        = var.ssh_port
  snapshot_name   = var.snapshot_name
  snapshot_labels = { berth = "box" }
}

build {
  sources = ["source.hcloud.box"]

  # In memory, so that nothing of it is left in the image.
  provisioner "file" {
    source      = var.bundle
    destination = "/run/berth.tar.gz"
  }

  provisioner "shell" {
    environment_vars = [
      "BERTH_SSH=${var.ssh}",
      "BERTH_EXTRA_PACKAGES=${var.extra_packages}",
      "BERTH_DEBIAN_MIRROR=${var.debian_mirror}",
    ]
    # The base image's own first boot comes to its end before; 2 is an end with complaints.
    inline = [
      "if command -v cloud-init >/dev/null; then cloud-init status --wait >/dev/null || test $? = 2; fi",
      "tar --extract --file /run/berth.tar.gz --directory /run",
      "/run/berth/packer/provision/run",
    ]
  }
}
