"""The image: where it lies, and how it comes there."""

import os
import shlex
import subprocess

from access import Target, grant, member
from gcloud import Stop, last
from stores import bucket_target, find_bucket

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(os.path.dirname(HERE))
# What the image is made of: what the Dockerfile copies, and itself. build.ignore lets only these
# through.
INPUTS = ("Dockerfile", ".dockerignore", ".cargo", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "build.rs", "build",
          "src", "templates", "vendor", "distfiles", "LICENSE-MIT", "LICENSE-APACHE", "NOTICE", "scripts/vendor.sh")


def revision():
    """The commit that the checkout is at. FILMLAB_REVISION says it where there is no checkout."""
    said = os.environ.get("FILMLAB_REVISION")
    if said:
        return said
    def git(*args):
        done = subprocess.run(["git", "-C", ROOT, *args], capture_output=True, text=True)
        if done.returncode:
            raise Stop(f"git {shlex.join(args)}: {done.stderr.strip()}",
                       "run this from a checkout, or name an IMAGE in the settings")
        return done.stdout.strip()
    changed = git("status", "--porcelain", "--", *INPUTS)
    if changed:
        raise Stop(f"an image is named after its commit, and this is not committed:\n{changed}",
                   "commit it or take it away, or name an IMAGE in the settings")
    return git("rev-parse", "--short=12", "HEAD")


def image(cloud, settings, enabled):
    """Answers the image's name. Tags cannot be moved in our repository, so a tag is as good as a
    digest there, and the plan can name it before it is built."""
    if settings["IMAGE"]:
        return settings["IMAGE"]
    project, region, service = settings["PROJECT"], settings["REGION"], settings["SERVICE"]
    where = f"--location={region}"
    repository = f"{region}-docker.pkg.dev/{project}/{service}"
    tag = revision()
    name = f"{repository}/filmlab:{tag}"
    there = False
    if "artifactregistry.googleapis.com" in enabled:
        rows = cloud.look("artifacts", "repositories", "list", where)
        there = any(last(row["name"]) == service for row in rows)
    if not there:
        cloud.change(f"repository {service} for images, whose tags cannot be moved",
                     "artifacts", "repositories", "create", service, where,
                     "--repository-format=docker", "--immutable-tags")
    built = set()
    if there:
        rows = cloud.look("artifacts", "docker", "tags", "list", repository)
        built = {last(row["tag"]) for row in rows if row["image"] == f"{repository}/filmlab"}
    if settings["BUILD"] == "push":
        if tag in built:
            return name
        lines = [
            f"gcloud auth configure-docker {region}-docker.pkg.dev",
            shlex.join(["docker", "build", f"--build-arg=FILMLAB_REVISION={tag}", f"--tag={name}", ROOT]),
            shlex.join(["docker", "push", name]),
        ]
        if cloud.apply:
            raise Stop(f"the image {name} is not there", "push it, then run this again:\n  " + "\n  ".join(lines))
        cloud.say("    (apply stops here until you have pushed the image)")
        for line in lines:
            cloud.say(f"      {line}")
        return name
    staging(cloud, settings, enabled, where, there)
    if tag not in built:
        cloud.change(
            f"build the image of {tag} (some 20 minutes)",
            "builds", "submit", ROOT, f"--config={HERE}/cloudbuild.json",
            f"--substitutions=_IMAGE={name},_REVISION={tag}",
            f"--service-account=projects/{project}/serviceAccounts/{settings.account('build')}",
            f"--gcs-source-staging-dir=gs://{staging_bucket(settings)}/source",
            f"--ignore-file={HERE}/build.ignore",
            "--suppress-logs",
        )
    return name


def staging_bucket(settings):
    return f"{settings['PROJECT']}-{settings['SERVICE']}-build"


def staging(cloud, settings, enabled, where, there):
    """What the builds need: a place for the sources, and an account that may do nothing else."""
    name = staging_bucket(settings)
    found = find_bucket(cloud, name, enabled)
    if found is None:
        cloud.change(f"bucket {name} for the sources of builds",
                     "storage", "buckets", "create", f"gs://{name}", where,
                     "--uniform-bucket-level-access", "--public-access-prevention",
                     "--soft-delete-duration=0", f"--lifecycle-file={HERE}/build-lifecycle.json")
    account = member(settings.account("build"))
    grant(cloud, bucket_target(name, found is not None),
          [("roles/storage.objectViewer", account, None, "reads the sources")])
    service = settings["SERVICE"]
    repository = Target(
        f"repository {service}",
        ("artifacts", "repositories", "get-iam-policy", service, where),
        ("artifacts", "repositories", "add-iam-policy-binding", service, where),
        there,
    )
    grant(cloud, repository, [("roles/artifactregistry.writer", account, None, "pushes the image")])
