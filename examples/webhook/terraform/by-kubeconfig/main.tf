# Inside, with a kubeconfig: Terraform makes the EvsJob itself and waits for its state.

terraform {
  required_providers {
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = "~> 2.30"
    }
  }
}

variable "job_id" {
  type        = string
  description = "The job_id that the cloud answered to the disk operation."
}

resource "kubernetes_manifest" "evs_job" {
  manifest = {
    apiVersion = "evs-operator.dev/v1alpha1"
    kind       = "EvsJob"
    metadata = {
      name      = "data-volumes"
      namespace = "team-a"
    }
    spec = {
      jobId = var.job_id
    }
  }

  wait {
    condition {
      type   = "Complete"
      status = "True"
    }
  }

  timeouts {
    create = "15m"
  }
}
