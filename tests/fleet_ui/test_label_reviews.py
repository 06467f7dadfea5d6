"""From pictures on which two versions disagree to a person's word about their labels."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from server.accounts.models import AuditEntry, RoleAssignment
from server.review.models import LabelReview
from tests.fleet_ui.test_pages import text_of, text_of_answer
from tests.fleet_ui.world import World

SignIn = Callable[[str], Client]
QUEUE = reverse("label-reviews")


def send(client: Client, world: World, show: str = "disagree") -> str:
    address = reverse("review-comparison", args=[world.comparison.pk])
    return text_of_answer(client.post(address, {"show": show}, follow=True))


def test_the_result_says_who_is_better_and_leads_to_a_rollout(
    world: World, sign_in: SignIn
) -> None:
    page = reverse("comparison", args=[world.comparison.pk])
    body = sign_in("ada").get(page).content.decode()
    wrong = world.comparison.figures.only_a_wrong
    assert f"alone it is wrong on 0, the other on {wrong}" in body
    link = f"{reverse('new-rollout')}?version={world.versions['1.1.0'].pk}"
    assert f'<a class="button primary" href="{link}">' in body
    running = reverse("comparison", args=[world.running_comparison.pk])
    assert "What next" not in text_of(sign_in("ada"), running)


def test_disagreements_are_sent_once(world: World, sign_in: SignIn) -> None:
    client, count = sign_in("ada"), world.comparison.figures.disagree
    assert count == 3
    assert "1 picture sent to review. 2 waited already." in send(client, world)
    assert LabelReview.objects.filter(state="waiting").count() == count
    assert "0 pictures sent to review." in send(client, world)
    assert "There is no such picture" in send(client, world, "both-wrong")
    assert "Choose which pictures." in send(client, world, "<b>")
    entry = AuditEntry.objects.filter(action="request_reviews").last()
    assert (entry.actor, entry.after["show"]) == ("user:ada", "disagree")


def test_a_person_says_right_or_what_it_should_be(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    first, second = LabelReview.objects.all()
    assert client.get(QUEUE).content.decode().count("<img") == 3 * 2

    def say(review: LabelReview, **form: str) -> str:
        address = reverse("answer-review", args=[review.pk])
        answer = text_of_answer(client.post(address, form, follow=True))
        review.refresh_from_db()
        return answer

    assert "Say what the label should be" in say(first, answer="mistaken", note=" ")
    assert "Say whether" in say(first, answer="waiting")
    assert first.state == "waiting"
    say(first, answer="mistaken", note="No scratch: a hair.")
    say(second, answer="confirmed")
    assert "cannot become" in say(second, answer="mistaken", note="after all")
    assert (first.state, first.note, second.state) == (
        "mistaken", "No scratch: a hair.", "confirmed",
    )  # fmt: skip
    assert first.answered_by == "user:ada"
    assert "No scratch: a hair." in text_of(client, f"{QUEUE}?state=mistaken")
    assert "Nothing waits" in text_of(client, QUEUE)
    golden = text_of(client, reverse("dataset", args=["boards-golden", "1"]))
    assert "1 label found to be wrong" in golden


def test_a_viewer_looks_and_an_operator_answers(world: World, sign_in: SignIn) -> None:
    review = LabelReview.objects.first()
    client, address = sign_in("vera"), reverse("answer-review", args=[review.pk])
    assert "Label right</button>" not in client.get(QUEUE).content.decode()
    assert client.post(address, {"answer": "confirmed"}).status_code == 403
    ask = reverse("review-comparison", args=[world.comparison.pk])
    assert client.post(ask, {"show": "disagree"}).status_code == 403
    RoleAssignment.objects.filter(user=world.users["vera"]).update(role="operator")
    assert sign_in("vera").post(address, {"answer": "confirmed"}).status_code == 302
    review.refresh_from_db()
    assert review.state == "confirmed"
