"""An agent's container image: its repository, and the build that fills it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_docker_build as docker_build

from components.secrets.encryption import encryption_key
from components.workload.build_context import content_hash

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_REPOSITORY = re.compile(r"(?=.{2,256}$)[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*")

#: The tag of what was pushed last; nothing refers to it. It moves: ECR refuses an immutable tag that exists even for
#: the same digest, and a repeated push (a retried job, lost state, a return to an earlier source) has to succeed.
DEPLOYED = "deployed"


@dataclass(frozen=True, kw_only=True)
class ImageArgs:
    """What `Image` needs.

    Attributes:
        repository_name: the ECR repository.
        existing: whether it is there already; then nothing of it is made or changed, and several images may share it.
        tag: under which it is pushed; it moves, and nothing refers to it.
        context: the folder that is built.
        dockerfile: the Dockerfile; None is ``Dockerfile`` in the context.
        platforms: what the image has to run on, such as ``linux/amd64``; that of the nodes.
        region: the registry's region.
        keep_images: how many images stay at least; older ones expire, never the one that was pushed last. A rollback
            reaches as far.
        force_delete: delete the repository with its images; for development.
        protect: keep the repository and its key from being deleted.
        kms_key_arn: encrypts the images; None is a key of the repository's own.
    """

    repository_name: str
    existing: bool = False
    tag: str = DEPLOYED
    context: str
    dockerfile: str | None
    platforms: Sequence[str]
    region: str
    keep_images: int
    force_delete: bool
    protect: bool
    kms_key_arn: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository_name):
            raise ValueError(
                f"repository_name is {self.repository_name!r}: use 2 to 256 lower-case letters and digits, "
                "parted by single . _ - or /"
            )
        known = [platform.value for platform in docker_build.Platform if platform.value.startswith("linux/")]
        if not self.platforms or not set(self.platforms) <= set(known):
            raise ValueError(
                f"platforms is {list(self.platforms)}: name that of the nodes, one of {', '.join(known)}"
            )
        if self.keep_images < 1:
            raise ValueError(f"keep_images is {self.keep_images}: keep 1 at least, the one that runs")
        if self.force_delete and self.protect:
            raise ValueError("force_delete and protect are both true: an image repository is either")

    @property
    def dockerfile_path(self) -> Path:
        return Path(self.dockerfile) if self.dockerfile else Path(self.context) / "Dockerfile"


class Image(pulumi.ComponentResource):
    """Builds a folder and pushes it, labelled with a hash of its content; it is used by digest.

    Attributes:
        ref: ``REPOSITORY@sha256:DIGEST``.
        repository_url: the repository, without tag or digest.
    """

    ref: pulumi.Output[str]
    repository_url: pulumi.Output[str]

    def __init__(self, name: str, args: ImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Image", name, None, opts)
        revision = content_hash(Path(args.context), args.dockerfile_path, salt=args.platforms)
        registry_id, self.repository_url = (
            self._existing(args) if args.existing else self._repository(name, args)
        )
        # A token of 12 hours, asked for anew by every deployment.
        login = aws.ecr.get_authorization_token_output(
            registry_id=registry_id,
            region=args.region,
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        image = docker_build.Image(
            f"{name}-build",
            context=docker_build.BuildContextArgs(location=args.context),
            dockerfile=docker_build.DockerfileArgs(location=str(args.dockerfile_path)),
            platforms=[docker_build.Platform(platform) for platform in args.platforms],
            tags=[pulumi.Output.format("{0}:{1}", self.repository_url, args.tag)],
            labels={"org.opencontainers.image.revision": revision},
            push=True,
            # A preview needs no builder.
            build_on_preview=False,
            registries=[
                docker_build.RegistryArgs(
                    address=self.repository_url,
                    username=login.user_name,
                    password=pulumi.Output.secret(login.password),
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.ref = pulumi.Output.format("{0}@{1}", self.repository_url, image.digest)
        self.register_outputs({"ref": self.ref, "repository_url": self.repository_url})

    def _existing(self, args: ImageArgs) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Registry and URL of a repository that is there already."""
        found = aws.ecr.get_repository_output(
            name=args.repository_name,
            region=args.region,
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).apply(lambda repository: _movable(repository, args.tag))
        return found.apply(lambda it: it.registry_id), found.apply(lambda it: it.repository_url)

    def _repository(self, name: str, args: ImageArgs) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Registry and URL of a repository of its own."""
        key_arn = args.kms_key_arn
        if key_arn is None:
            key_arn = encryption_key(
                f"{name}-key",
                # An alias, unlike a repository's name, has no dots.
                alias=f"{args.repository_name.replace('.', '-')}/images",
                description="Encrypts the agents' container images",
                protect=args.protect,
                parent=self,
            ).arn
        repository = aws.ecr.Repository(
            f"{name}-repository",
            name=args.repository_name,
            image_tag_mutability="IMMUTABLE_WITH_EXCLUSION",
            image_tag_mutability_exclusion_filters=[
                aws.ecr.RepositoryImageTagMutabilityExclusionFilterArgs(
                    filter=DEPLOYED, filter_type="WILDCARD"
                )
            ],
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[
                aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=key_arn)
            ],
            force_delete=args.force_delete,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        aws.ecr.LifecyclePolicy(
            f"{name}-lifecycle",
            repository=repository.name,
            policy=lifecycle_policy(keep_images=args.keep_images, platforms=len(args.platforms)),
            # A repository has one: if the new one came first, deleting the old one would leave none.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        return repository.registry_id, repository.repository_url


def _movable(repository: aws.ecr.GetRepositoryResult, tag: str) -> aws.ecr.GetRepositoryResult:
    """Refuse a repository whose tag would stay where it is first pushed."""
    excluded = any(
        fnmatchcase(tag, each.filter) for each in repository.image_tag_mutability_exclusion_filters or ()
    )
    if repository.image_tag_mutability.startswith("IMMUTABLE") is excluded:
        return repository
    raise pulumi.RunError(
        f"repository_name is {repository.name}, whose tag {tag} cannot be moved, and a second push would be refused:"
        f" make its tags IMMUTABLE_WITH_EXCLUSION with a filter for {tag}"
    )


def lifecycle_policy(*, keep_images: int, platforms: int) -> str:
    """Keep what was pushed last whatever comes, and the newest before it.

    An image that matches a rule's tags cannot be expired by a later rule, nor one that an index refers to, and there is
    never more than one that is tagged `DEPLOYED`:
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
    """
    # A build is an index, and for each platform an image and its provenance: all without a tag once the tag has moved.
    manifests = 1 + 2 * platforms
    rules: list[tuple[str, dict[str, Any], int]] = [
        ("What is deployed stays", {"tagStatus": "tagged", "tagPatternList": [DEPLOYED]}, 1),
        (
            f"The newest {keep_images} builds stay, of {manifests} manifests each",
            {"tagStatus": "untagged"},
            keep_images * manifests,
        ),
        (
            f"The newest {keep_images} images with tags of their own stay",
            {"tagStatus": "tagged", "tagPatternList": ["*"]},
            keep_images,
        ),
    ]
    return json.dumps(
        {
            "rules": [
                {
                    "rulePriority": priority,
                    "description": description,
                    "selection": {**selection, "countType": "imageCountMoreThan", "countNumber": count},
                    "action": {"type": "expire"},
                }
                for priority, (description, selection, count) in enumerate(rules, start=1)
            ]
        }
    )
