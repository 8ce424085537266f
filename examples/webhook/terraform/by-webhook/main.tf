# Outside the cluster, with a token and no kubeconfig: one HTTP call makes the EvsJob and waits for the end of the job.
# Terraform reads a data source again at each plan: to send the same answer again makes nothing new.

terraform {
  required_version = ">= 1.5"
  required_providers {
    http = {
      source  = "hashicorp/http"
      version = "~> 3.4"
    }
  }
}

variable "webhook_url" {
  type        = string
  description = "Where the webhook is, for example https://evs.example.com."
}

variable "webhook_token" {
  type        = string
  sensitive   = true
  description = "Token of the ServiceAccount of sender.yaml."
}

variable "job_id" {
  type        = string
  description = "The job_id that the cloud answered to the disk operation."
}

data "http" "evs_job" {
  url                = "${var.webhook_url}/v1/namespaces/team-a/evsjobs?name=data-volumes&wait=5m"
  method             = "POST"
  request_body       = jsonencode({ job_id = var.job_id })
  request_timeout_ms = 360000

  request_headers = {
    Authorization = "Bearer ${var.webhook_token}"
    Content-Type  = "application/json"
  }

  retry {
    attempts     = 5
    min_delay_ms = 1000
  }

  lifecycle {
    postcondition {
      condition     = contains([200, 201], self.status_code)
      error_message = "The webhook refused: ${self.response_body}"
    }
    postcondition {
      condition     = try(jsondecode(self.response_body).state, "") == "Complete"
      error_message = "The job did not complete: ${self.response_body}"
    }
  }
}

output "volume_ids" {
  value = try(jsondecode(data.http.evs_job.response_body).volumeIds, [])
}
