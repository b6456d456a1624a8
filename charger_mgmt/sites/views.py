"""Sites: /api/sites."""

from __future__ import annotations

import zoneinfo
from typing import Annotated, Any, Self

from flask import Blueprint
from msgspec import UNSET, UnsetType, structs

from ..domain.roles import ADMIN, VIEWER
from ..extensions import db
from ..web.answers import Answer, Time, degrees
from ..web.endpoint import endpoint
from ..web.fields import Country, Name, RowId, about, coordinate, text
from ..web.pages import NEXT, Limit, NameCursor, page
from ..web.process import sites
from ..web.reading import Sent
from ..web.replies import LOCATION, Reply
from . import places

blueprint = Blueprint("sites", __name__, url_prefix="/sites")


def _time_zone(name: str) -> str:
    if name not in TIME_ZONES:
        raise ValueError("must be a name of the IANA time zone database, like Europe/Berlin")
    return name


TIME_ZONES = zoneinfo.available_timezones()
TimeZone = Annotated[
    str,
    text(
        64, then=_time_zone, description="A name of the IANA time zone database.", examples=["Europe/Berlin"]
    ),
]


class SitesQuery(Sent):
    limit: Limit = 100
    cursor: NameCursor | None = None


class SiteChanges(Sent):
    name: Name | UnsetType = UNSET
    address: Name | UnsetType | None = UNSET
    city: Name | UnsetType | None = UNSET
    postal_code: Annotated[str, text(32)] | UnsetType | None = UNSET
    country: Country | UnsetType | None = UNSET
    latitude: Annotated[float, coordinate(90)] | UnsetType | None = UNSET
    longitude: Annotated[float, coordinate(180)] | UnsetType | None = UNSET
    time_zone: TimeZone | UnsetType = UNSET

    def columns(self) -> dict[str, Any]:
        """What was sent, by its column."""
        return {name: value for name, value in structs.asdict(self).items() if value is not UNSET}


class NewSite(SiteChanges, kw_only=True):
    name: Name


class Site(Answer):
    site_id: int
    name: str
    address: str | None
    city: str | None
    postal_code: str | None
    country: str | None
    latitude: float | None
    longitude: float | None
    time_zone: str
    chargers: Annotated[int, about("How many belong to it.")]
    created_at: Time

    @classmethod
    def at(cls, place: places.Place) -> Self:
        row = place.site
        return cls.of(
            row,
            site_id=row.id,
            latitude=degrees(row.latitude),
            longitude=degrees(row.longitude),
            chargers=place.chargers,
        )


@blueprint.get("")
@endpoint(access=VIEWER, answers={200: ("The sites.", NEXT)})
def list_sites(query: SitesQuery) -> Reply[list[Site]]:
    """Sites, by name; of who is limited to some, these."""
    rows = places.listed(db.engine, sites(), after=query.cursor, limit=query.limit + 1)
    return page(rows, query.limit, Site.at, lambda place: (place.site.name,))


@blueprint.post("")
@endpoint(access=ADMIN, whole_fleet=True, answers={201: ("Created.", LOCATION)}, errors=("conflict",))
def create_site(body: NewSite) -> Reply[Site]:
    """Create a site."""
    place = places.create(db.engine, {"time_zone": "UTC"} | body.columns())
    return Reply(Site.at(place), headers={"Location": f"/api/sites/{place.site.id}"})


@blueprint.get("/<site_id>")
@endpoint(access=VIEWER, answers={200: "The site."}, errors=("not-found",))
def show_site(site_id: RowId) -> Site:
    """One site."""
    return Site.at(places.find(db.engine, site_id, sites()))


@blueprint.patch("/<site_id>")
@endpoint(access=ADMIN, answers={200: "The site as it is now."}, errors=("not-found", "conflict"))
def change_site(site_id: RowId, body: SiteChanges) -> Site:
    """Change a site."""
    return Site.at(places.change(db.engine, site_id, body.columns(), sites()))


@blueprint.delete("/<site_id>")
@endpoint(access=ADMIN, whole_fleet=True, answers={204: "It is gone."}, errors=("not-found", "conflict"))
def remove_site(site_id: RowId) -> None:
    """Remove a site to which no charger belongs any more.

    Who was limited to it sees the rest of their sites.
    """
    places.remove(db.engine, site_id)
