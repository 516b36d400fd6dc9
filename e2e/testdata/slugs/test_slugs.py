import unittest

import expect

from slugs import slug


class SlugTest(unittest.TestCase):
    def test_words(self):
        expect.equal(slug('Ships  leave Harbour'), 'ships-leave-harbour')

    def test_nothing(self):
        expect.equal(slug(''), '')

    @unittest.skip('not yet')
    def test_accents(self):
        expect.equal(slug('Été'), 'ete')
