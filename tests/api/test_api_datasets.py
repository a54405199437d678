"""Uploads."""

import hashlib


def test_an_upload_is_stored_under_a_reference(site):
    answer = site.http.post("/v1/datasets?filename=My%20rows.CSV", content=b"text,label\n")
    found = answer.json()
    assert answer.status_code == 201
    assert found["reference"] == f"dataset:{found['id']}"
    assert (found["filename"], found["size"]) == ("My rows.CSV", 11)
    assert found["sha256"] == hashlib.sha256(b"text,label\n").hexdigest()
    assert site.registry.uploads.path(found["reference"]).read_bytes() == b"text,label\n"


def test_a_stream_over_the_limit_is_refused_and_leaves_nothing(open_site):
    site = open_site(max_upload=10)
    chunks = iter([b"12345678", b"12345678"])
    answer = site.http.post("/v1/datasets?filename=rows.csv", content=chunks)
    assert answer.status_code == 413
    assert list(site.registry.home.uploads.iterdir()) == []


def test_an_upload_that_announces_too_much_is_refused_before_it_is_read(open_site):
    site = open_site(max_upload=10)
    answer = site.http.post("/v1/datasets?filename=rows.csv", content=b"12345678901")
    assert answer.status_code == 413
    assert not site.registry.home.uploads.exists()


def test_a_file_name_without_a_suffix_is_refused(site):
    answer = site.http.post("/v1/datasets?filename=rows", content=b"x")
    assert answer.status_code == 422
    assert "suffix such as .csv" in answer.json()["detail"]


def test_an_upload_is_listed_shown_and_deleted(site):
    first, second = site.upload(), site.upload(b"text,label\nc,d\n")
    listed = site.http.get("/v1/datasets").json()
    assert [item["reference"] for item in listed["items"]] == [second, first]
    path = f"/v1/datasets/{first.removeprefix('dataset:')}"
    assert site.http.get(path).json() == listed["items"][1]
    run = site.submit(data=first).json()["id"]
    refused = site.http.delete(path)
    assert (refused.status_code, run in refused.json()["detail"]) == (409, True)
    site.http.post(f"/v1/adaptations/{run}/cancel", json={})
    assert site.http.delete(path).status_code == 204
    assert site.http.get(path).status_code == 404
    assert site.submit(data=first).status_code == 404


def test_an_upload_in_parts_becomes_a_data_set(site):
    begun = site.http.post("/v1/uploads?filename=rows.csv").json()
    path = f"/v1/uploads/{begun['id']}"
    assert begun == {"id": begun["id"], "filename": "rows.csv", "offset": 0}
    assert site.http.patch(f"{path}?offset=0", content=b"text,").json()["offset"] == 5
    wrong = site.http.patch(f"{path}?offset=0", content=b"label\n")
    assert (wrong.status_code, site.http.get(path).json()["offset"]) == (409, 5)
    assert site.http.patch(f"{path}?offset=5", content=b"label\na,b\n").json()["offset"] == 15
    for _ in range(2):
        made = site.http.post(f"{path}/complete")
        assert made.status_code == 201
        assert made.json()["reference"] == f"dataset:{begun['id']}"
    assert site.submit(data=made.json()["reference"]).status_code == 202
    assert site.http.get(path).status_code == 404


def test_a_part_beyond_the_limit_is_refused(open_site):
    site = open_site(max_upload=10)
    path = f"/v1/uploads/{site.http.post('/v1/uploads?filename=a.csv').json()['id']}"
    assert site.http.patch(f"{path}?offset=0", content=b"x" * 11).status_code == 413
    assert site.http.patch(f"{path}?offset=0", content=b"x" * 10).status_code == 200
    assert site.http.delete(path).status_code == 204
    assert site.http.get(path).status_code == 404
