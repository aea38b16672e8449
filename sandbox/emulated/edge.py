"""IAM, Route 53, ACM and WAF: who may do what, and how callers reach the stack."""

from typing import Any

from sandbox.emulated.subject import Kind, Subject


def _role(subject: Subject, id_: str) -> dict[str, Any]:
    return {
        "arn": subject.arn("iam", f"role/{id_}", worldwide=True),
        "name": id_,
        "uniqueId": f"AROA{subject.hex(17).upper()}",
    }


def _policy_arn(subject: Subject) -> str:
    return subject.arn("iam", f"policy/{subject.named()}", worldwide=True)


def _certificate(subject: Subject, id_: str) -> dict[str, Any]:
    names = [subject.get("domainName"), *subject.inputs.get("subjectAlternativeNames", [])]
    return {
        "arn": id_,
        "domainValidationOptions": [
            {
                "domainName": name,
                "resourceRecordName": f"_{subject.hex(32, salt=name)}.{name}.",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": f"_{subject.hex(32, salt=f'value {name}')}.acm-validations.aws.",
            }
            for name in dict.fromkeys(names)
        ],
        "status": "PENDING_VALIDATION",
        "type": "AMAZON_ISSUED",
    }


def _web_acl(subject: Subject, id_: str) -> dict[str, Any]:
    name = subject.named()
    scope = "global" if subject.get("scope") == "CLOUDFRONT" else "regional"
    return {"arn": subject.arn("wafv2", f"{scope}/webacl/{name}/{id_}"), "capacity": 10, "name": name}


KINDS = {
    "aws:iam/role:Role": Kind(lambda s: s.named(), _role),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        lambda s: f"{s.get('role')}:{s.named()}",
        lambda s, id_: {"name": id_.split(":", 1)[1]},
    ),
    "aws:iam/policy:Policy": Kind(
        _policy_arn,
        lambda s, id_: {"arn": id_, "name": s.named(), "policyId": f"ANPA{s.hex(17).upper()}"},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Kind(
        lambda s: f"{s.get('role')}/{s.get('policyArn')}"
    ),
    "aws:iam/instanceProfile:InstanceProfile": Kind(
        lambda s: s.named(),
        lambda s, id_: {
            "arn": s.arn("iam", f"instance-profile/{id_}", worldwide=True),
            "name": id_,
            "uniqueId": f"AIPA{s.hex(17).upper()}",
        },
    ),
    "aws:route53/record:Record": Kind(
        lambda s: f"{s.get('zoneId')}_{s.get('name')}_{s.get('type')}",
        lambda s, id_: {"fqdn": s.get("name").rstrip(".")},
    ),
    "aws:acm/certificate:Certificate": Kind(
        lambda s: s.arn("acm", f"certificate/{s.uuid()}"),
        _certificate,
    ),
    "aws:acm/certificateValidation:CertificateValidation": Kind(lambda s: s.hex(16)),
    "aws:wafv2/webAcl:WebAcl": Kind(lambda s: s.uuid(), _web_acl),
}
