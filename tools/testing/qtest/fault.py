# SPDX-License-Identifier: GPL-2.0
"""What an IOMMU says when it refuses an access, whichever IOMMU it is."""

import dataclasses


@dataclasses.dataclass
class Fault:
    """One fault record or event.

    `fields` is what a case's expectation may name: "reason" for VT-d; "event", "s2",
    "class" and "ipa" for SMMUv3. `page` is the IOVA's 4 KiB page and `write` the
    direction; both are None where the record has no such field.
    """

    fields: dict
    rid: int
    page: int | None
    write: bool | None

    def differs(self, rid, iova, expected):
        """What is not as expected, in words; empty if all is. A None expected is not
        compared. The access was a write of the device `rid`."""
        wrong = [f"{name} {show(self.fields.get(name))}" for name, value in expected.items()
                 if value is not None and self.fields.get(name) != value]
        if self.rid != rid:
            wrong.append(f"device {self.rid:#x}")
        if self.page is not None and self.page != iova & ~0xfff:
            wrong.append(f"iova {self.page:#x}")
        if self.write is False:
            wrong.append("a read")
        return ", ".join(wrong)


def show(value):
    """Numbers in hexadecimal, as the specifications have them."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return hex(value)


def show_fields(fields):
    return " ".join(f"{name} {show(value)}" for name, value in fields.items() if value is not None)
