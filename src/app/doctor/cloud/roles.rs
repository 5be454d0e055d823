//! The roles that the service's account needs, and the commands that grant them.
//!
//! `scripts/deploy/gcloud.sh` grants the same; a test holds the two together.

/// One role on the smallest thing that it can be given on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Documents of one database.
    Documents {
        project: String,
        database: String,
    },
    /// Objects of one bucket.
    Objects {
        bucket: String,
    },
    /// Tasks of one queue, `projects/P/locations/L/queues/Q`.
    Tasks {
        queue: String,
    },
    /// The account whose token tasks carry.
    TaskAccount {
        email: String,
    },
    /// Signatures of links, by this account.
    Signatures {
        email: String,
    },
    Secret {
        name: String,
    },
    /// Messages to the devices of one Firebase project.
    Notices {
        project: String,
    },
}

impl Role {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Documents { .. } => "roles/datastore.user",
            Self::Objects { .. } => "roles/storage.objectUser",
            Self::Tasks { .. } => "roles/cloudtasks.enqueuer",
            Self::TaskAccount { .. } => "roles/iam.serviceAccountUser",
            Self::Signatures { .. } => "roles/iam.serviceAccountTokenCreator",
            Self::Secret { .. } => "roles/secretmanager.secretAccessor",
            Self::Notices { .. } => "roles/firebasecloudmessaging.admin",
        }
    }

    pub(super) fn target(&self) -> String {
        match self {
            Self::Documents { project, database } => {
                format!("project {project}, for its database {database}")
            }
            Self::Objects { bucket } => format!("bucket {bucket}"),
            Self::Tasks { queue } => format!("queue {queue}"),
            Self::TaskAccount { email } | Self::Signatures { email } => format!("account {email}"),
            Self::Secret { name } => format!("secret {name}"),
            Self::Notices { project } => format!("project {project}"),
        }
    }

    /// What is given to `gcloud` to name the thing, and the project that the command is about.
    fn place(&self, project: &str) -> (Vec<String>, String) {
        let own = project.to_owned();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        match self {
            Self::Documents { project, .. } | Self::Notices { project } => (
                words(&["projects", "add-iam-policy-binding", project]),
                project.clone(),
            ),
            Self::Objects { bucket } => (
                words(&[
                    "storage",
                    "buckets",
                    "add-iam-policy-binding",
                    &format!("gs://{bucket}"),
                ]),
                own,
            ),
            Self::Tasks { queue } => {
                let part = |at| queue.split('/').nth(at).unwrap_or_default();
                (
                    words(&[
                        "tasks",
                        "queues",
                        "add-iam-policy-binding",
                        part(5),
                        &format!("--location={}", part(3)),
                    ]),
                    part(1).to_owned(),
                )
            }
            Self::TaskAccount { email } | Self::Signatures { email } => (
                words(&["iam", "service-accounts", "add-iam-policy-binding", email]),
                own,
            ),
            Self::Secret { name } => (words(&["secrets", "add-iam-policy-binding", name]), own),
        }
    }

    /// Who else may use the project's databases is no affair of ours: the role counts for one.
    /// <https://cloud.google.com/firestore/docs/manage-databases#configure_per-database_access_permissions>
    fn condition(&self) -> Option<String> {
        match self {
            Self::Documents { project, database } => Some(format!(
                "--condition=expression=resource.name==\"projects/{project}/databases/{database}\",\
                 title=this_database_only"
            )),
            // Without the flag gcloud asks, where the policy has any condition.
            Self::Notices { .. } => Some("--condition=None".to_owned()),
            _ => None,
        }
    }
}

/// A role, and who needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    pub role: Role,
    pub project: String,
    pub account: String,
}

impl Granted {
    /// The words of the command that grants it, `gcloud` first.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let (place, project) = self.role.place(&self.project);
        let mut words = vec!["gcloud".to_owned()];
        words.extend(place);
        words.push(format!("--member=serviceAccount:{}", self.account));
        words.push(format!("--role={}", self.role.name()));
        words.extend(self.role.condition());
        words.push(format!("--project={project}"));
        words
    }

    /// The same as a line for a shell.
    #[must_use]
    pub fn command(&self) -> String {
        let words = self.words();
        line(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// The words as one line that a shell reads as these words and nothing else.
pub(super) fn line(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    quoted.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_words_it_was_made_of() {
        let words = [
            "gcloud",
            "it's",
            "$(reboot)",
            "a b",
            "x;y",
            "",
            "gs://b",
            "`id`",
        ];
        let told = line(&words);
        assert_eq!(
            told,
            r"gcloud 'it'\''s' '$(reboot)' 'a b' 'x;y' '' gs://b '`id`'"
        );
    }
}
